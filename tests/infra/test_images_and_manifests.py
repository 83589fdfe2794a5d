"""What reaches a container or a pod, checked without Docker and without a cluster."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client
from zenml.integrations.kubernetes.flavors.kubernetes_orchestrator_flavor import KubernetesOrchestratorSettings
from zenml.integrations.kubernetes.flavors.kubernetes_step_operator_flavor import KubernetesStepOperatorSettings
from zenml.integrations.kubernetes.manifest_utils import build_pod_manifest

from tests.conftest import REPOSITORY

CONFIG: dict[str, Any] = yaml.safe_load((REPOSITORY / "configs" / "kubernetes.yaml").read_text())


def pod(settings: Any) -> Any:
    """The pod's specification as ZenML would send it to a cluster."""
    made = build_pod_manifest(
        pod_name="step", image_name="image", command=["python"], args=[], privileged=False, pod_settings=settings
    )
    return client.ApiClient().sanitize_for_serialization(made)["spec"]


@pytest.mark.parametrize("step", ["train", "build_triplets"])
def test_gpu_node_memory_and_shared_memory_reach_the_pod(step: str) -> None:
    settings = KubernetesStepOperatorSettings(**CONFIG["steps"][step]["settings"]["step_operator.kubernetes"])
    spec = pod(settings.pod_settings)
    (container,) = spec["containers"]
    assert spec["nodeSelector"] == {"nvidia.com/gpu.present": "true"}
    assert spec["tolerations"] == [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}]
    assert container["resources"]["limits"] == {"memory": "24Gi", "nvidia.com/gpu": "1"}
    assert container["resources"]["requests"]["nvidia.com/gpu"] == "1"
    (mount,) = container["volumeMounts"]
    assert mount["mountPath"] == "/dev/shm"
    assert spec["volumes"] == [{"name": mount["name"], "emptyDir": {"medium": "Memory", "sizeLimit": "8Gi"}}]
    assert CONFIG["steps"][step]["step_operator"] is True


def test_only_ingest_mounts_the_images_and_cannot_write_them() -> None:
    every = KubernetesOrchestratorSettings(**CONFIG["settings"]["orchestrator.kubernetes"])
    ingest = KubernetesOrchestratorSettings(**CONFIG["steps"]["ingest"]["settings"]["orchestrator.kubernetes"])
    assert every.concurrency_policy == "Forbid"
    assert "volumes" not in pod(every.pod_settings)
    spec = pod(ingest.pod_settings)
    (mount,) = spec["containers"][0]["volumeMounts"]
    assert (mount["mountPath"], mount["readOnly"]) == ("/data", True)
    assert CONFIG["parameters"]["data_dir"].startswith(mount["mountPath"])
    assert spec["volumes"][0]["persistentVolumeClaim"] == {"claimName": "face-images"}


def test_the_schedule_is_one_that_zenml_understands() -> None:
    from zenml.config.schedule import Schedule

    assert Schedule(**CONFIG["schedule"]).cron_expression == "0 3 * * *"


def test_the_dockerfile_is_linted_and_does_not_run_as_root() -> None:
    path = REPOSITORY / "infra" / "Dockerfile"
    binary = Path(sys.executable).parent / "hadolint"
    done = subprocess.run([str(binary), str(path)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    last_stage = path.read_text().rsplit("\nFROM ", 1)[1]
    assert "\nUSER 1000\n" in last_stage


@pytest.mark.parametrize("script", sorted((REPOSITORY / "infra").rglob("*.sh")), ids=lambda path: path.name)
def test_shell_scripts_parse(script: Path) -> None:
    bash = shutil.which("bash")
    assert bash
    assert subprocess.run([bash, "-n", str(script)]).returncode == 0
