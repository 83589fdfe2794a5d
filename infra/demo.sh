#!/usr/bin/env bash
# The demo: data, training run, summary, two verifications. Called by `make demo` with the environment on PATH.
set -euo pipefail

# Colours only where somebody sees them.
[ -t 1 ] || export ZENML_LOGGING_COLORS_DISABLED=true

say() { printf '\n── %s\n' "$*"; }

say "1/4 stack: ZenML with MLflow, on this machine"
python -m infra.bootstrap_stack

say "2/4 data: characters in the typefaces that matplotlib ships"
if [ -d data/glyphs ]; then echo "data/glyphs is there already."; else siamese data glyphs data/glyphs; fi

say "3/4 training pipeline (2 to 4 minutes on 2 cores; steps that have not changed come from the cache)"
zenml pipeline run pipelines.training.training_pipeline -c configs/demo.yaml

say "4/4 the champion"
MLFLOW_TRACKING_URI=$(siamese tracking-uri)
export MLFLOW_TRACKING_URI
siamese show --model models:/glyphs@champion

verify() { # the exit code 1 only says "different"
    printf '  $ siamese verify --model models:/glyphs@champion %s %s\n  ' "$1" "$2"
    siamese verify --model models:/glyphs@champion "$1" "$2" || [ $? -eq 1 ]
}
echo "  Characters that it has never seen, 9 in two typefaces, then 9 and d in one:"
echo
verify data/glyphs/U+0039/DejaVuSans.png data/glyphs/U+0039/DejaVuSerif-Italic.png
echo
verify data/glyphs/U+0039/DejaVuSans.png data/glyphs/U+0064/DejaVuSans.png
