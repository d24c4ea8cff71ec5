"""All settings of an alignment run."""

from pydantic import Field

from eva_rl.config.algorithm import AlgorithmSettings
from eva_rl.config.data import DataSettings
from eva_rl.config.evaluation import EvaluationSettings
from eva_rl.config.faults import FaultSettings
from eva_rl.config.metrics import MetricsSettings
from eva_rl.config.models import (
    AdapterSettings,
    InverseDynamicsSettings,
    WorldModelSettings,
)
from eva_rl.config.reward import RewardSettings
from eva_rl.config.roles import GeneratorSettings, LearnerSettings, ScorerSettings
from eva_rl.config.run import ClusterSettings, RunSettings
from eva_rl.config.sampling import SamplingSettings
from eva_rl.config.schedule import ScheduleSettings
from eva_rl.config.section import Section
from eva_rl.config.video import RobotSettings, VideoSettings


class AlignSettings(Section):
    """Everything that `recipes/robotwin_align.py` can be told."""

    run: RunSettings = Field(default_factory=RunSettings)
    cluster: ClusterSettings = Field(default_factory=ClusterSettings)
    video: VideoSettings = Field(default_factory=VideoSettings)
    robot: RobotSettings = Field(default_factory=RobotSettings)
    data: DataSettings = Field(default_factory=DataSettings)
    world_model: WorldModelSettings = Field(default_factory=WorldModelSettings)
    idm: InverseDynamicsSettings = Field(default_factory=InverseDynamicsSettings)
    adapter: AdapterSettings = Field(default_factory=AdapterSettings)
    reward: RewardSettings = Field(default_factory=RewardSettings)
    sampling: SamplingSettings = Field(default_factory=SamplingSettings)
    algorithm: AlgorithmSettings = Field(default_factory=AlgorithmSettings)
    schedule: ScheduleSettings = Field(default_factory=ScheduleSettings)
    generators: GeneratorSettings = Field(default_factory=GeneratorSettings)
    scorers: ScorerSettings = Field(default_factory=ScorerSettings)
    learner: LearnerSettings = Field(default_factory=LearnerSettings)
    faults: FaultSettings = Field(default_factory=FaultSettings)
    evaluation: EvaluationSettings = Field(default_factory=EvaluationSettings)
    metrics: MetricsSettings = Field(default_factory=MetricsSettings)
