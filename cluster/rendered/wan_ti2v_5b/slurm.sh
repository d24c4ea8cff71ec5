#!/usr/bin/env bash
# Rendered from cluster/settings/wan_ti2v_5b.yaml by `eva-rl cluster render`: change that file, not this one.
#SBATCH --job-name=eva-wan-ti2v-5b
#SBATCH --time=48:00:00
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=eva-wan-ti2v-5b-%j.log
# head
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=8
#SBATCH --mem=32G
#SBATCH hetjob
# generators
#SBATCH --nodes=8
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=12
#SBATCH --mem=128G
#SBATCH --gpus-per-node=h100:1
#SBATCH --partition=gpu
#SBATCH hetjob
# scorers
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=12
#SBATCH --mem=64G
#SBATCH --gpus-per-node=l40s:1
#SBATCH --partition=gpu
#SBATCH hetjob
# learner
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=96
#SBATCH --mem=1024G
#SBATCH --gpus-per-node=h100:8
#SBATCH --partition=gpu
#SBATCH hetjob
# evaluators
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=12
#SBATCH --mem=128G
#SBATCH --gpus-per-node=h100:1
#SBATCH --partition=gpu
#SBATCH hetjob
# data
#SBATCH --nodes=1
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --mem=64G
set -euo pipefail

cd /shared/eva_rl
# shellcheck disable=SC1091  # made by `make setup`
source .venv/bin/activate
mkdir -p /runs
export HF_HUB_OFFLINE=1
export TOKENIZERS_PARALLELISM=false
export OMP_NUM_THREADS=1

# A token of its own for this attempt, readable by its user alone.
export RAY_AUTH_MODE=token
export RAY_AUTH_TOKEN_PATH=/runs/.eva-wan-ti2v-5b-token
(umask 077 && python -c 'import secrets; print(secrets.token_hex(32), end="")' > "$RAY_AUTH_TOKEN_PATH")

# The batch step runs on the first node of the first component: the head.
head_ip=$(hostname --ip-address | awk '{print $1}')
port=$((20000 + SLURM_JOB_ID % 20000))
session=/tmp/ray-$SLURM_JOB_ID
stop() {
    # shellcheck disable=SC2046  # one word per process
    kill $(jobs -p) 2> /dev/null || true
    wait
    rm -f "$RAY_AUTH_TOKEN_PATH"
}
trap stop EXIT

ray start --head --block --node-ip-address="$head_ip" --port="$port" --num-cpus=0 \
    --dashboard-host=127.0.0.1 --temp-dir="$session" --disable-usage-stats &

# workers COMPONENT NODES CPUS GPUS LABELS RESOURCES: one Ray node per machine of a component.
workers() {
    srun --het-group="$1" --nodes="$2" --ntasks="$2" --ntasks-per-node=1 \
        ray start --block --address="$head_ip:$port" --num-cpus="$3" --num-gpus="$4" \
        --labels="$5" --resources="$6" --disable-usage-stats &
}
until ray health-check --address "$head_ip:$port" > /dev/null 2>&1; do sleep 1; done
workers 1 8 12 1 eva-rl/role=generators,ray.io/accelerator-type=H100 '{}'
workers 2 2 12 1 eva-rl/role=scorers,ray.io/accelerator-type=L40S '{}'
workers 3 1 96 8 eva-rl/role=learner,ray.io/accelerator-type=H100 '{}'
workers 4 2 12 1 eva-rl/role=evaluators,ray.io/accelerator-type=H100 '{}'
workers 5 1 16 0 eva-rl/role=data '{}'

# The recipe itself waits for the machines and says which are missing.
RAY_ADDRESS="$head_ip:$port" python recipes/robotwin_align.py --config recipes/configs/wan_ti2v_5b.yaml '--generators.labels={"eva-rl/role": "generators"}' '--scorers.labels={"eva-rl/role": "scorers"}' '--learner.labels={"eva-rl/role": "learner"}' '--evaluation.labels={"eva-rl/role": "evaluators"}' --run.directory /runs/eva-wan-ti2v-5b --run.resume auto
