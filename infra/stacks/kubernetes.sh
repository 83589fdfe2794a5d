#!/usr/bin/env bash
# Registers the stack siamese_kubernetes on the ZenML server that you are logged in to. Needs:
#   ARTIFACTS  s3://bucket/prefix          REGISTRY   host/name of the container registry
#   MLFLOW     address of the MLflow server  CONTEXT    kubectl context of the cluster
set -euo pipefail
: "${ARTIFACTS:?}" "${REGISTRY:?}" "${MLFLOW:?}" "${CONTEXT:?}"
zenml artifact-store register siamese_s3 --flavor=s3 --path="$ARTIFACTS"
zenml container-registry register siamese_images --flavor=default --uri="$REGISTRY"
zenml image-builder register siamese_builder --flavor=local
# MLflow behind no login still needs a word here: ZenML asks for exactly one way to authenticate.
zenml experiment-tracker register siamese_mlflow_remote --flavor=mlflow --tracking_uri="$MLFLOW" \
    --tracking_token="${MLFLOW_TOKEN:-unused}"
zenml model-registry register siamese_registry_remote --flavor=mlflow
zenml orchestrator register siamese_cluster --flavor=kubernetes --kubernetes_context="$CONTEXT"
zenml step-operator register siamese_gpu_pods --flavor=kubernetes --kubernetes_context="$CONTEXT"
zenml stack register siamese_kubernetes -a siamese_s3 -c siamese_images -i siamese_builder \
    -e siamese_mlflow_remote -r siamese_registry_remote -o siamese_cluster -s siamese_gpu_pods
