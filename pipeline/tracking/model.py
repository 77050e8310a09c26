"""MLflow's description of a trained model that `pipeline.runs.load` reads, and not MLflow."""

from pathlib import Path

import numpy as np
from mlflow.entities import LoggedModel

from pipeline.tracking.run import Shapes

EXTERNAL = "mlflow.model.isExternal"  # tag: not loaded by MLflow


def describe(made: LoggedModel, shapes: Shapes, folder: Path) -> None:
    """Write MLmodel, MLflow's own description, with the model's signature."""
    from mlflow.models import ModelSignature  # imports take a second, and only models need them
    from mlflow.models.utils import get_external_mlflow_model_spec
    from mlflow.types import Schema, TensorSpec

    schemas = {name: Schema([TensorSpec(np.dtype(kind), sizes)]) for name, (kind, sizes) in shapes.items()}
    described = get_external_mlflow_model_spec(made)
    described.signature = ModelSignature(schemas["inputs"], schemas["outputs"])
    described.save(str(folder / "MLmodel"))
