"""A run directory -> one HTML page that a colleague can open anywhere."""

from eva_rl.reports.report import write_report

__all__ = ["write_report"]
