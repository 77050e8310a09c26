"""S3 on this machine: moto's server, which keeps everything in memory."""

import secrets
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3

from tests.services.server import HOST, Server, free_port, own_folder, running

REGION = "us-east-1"


@dataclass
class S3(Server):
    """The server, and the key of its only user."""

    access_key: str = ""
    secret_key: str = ""

    @property
    def url(self) -> str:
        """The endpoint."""
        return f"http://{self.address}"

    @property
    def variables(self) -> dict[str, str]:
        """The environment in which boto3, MLflow and DVC find it."""
        keys = {"AWS_ACCESS_KEY_ID": self.access_key, "AWS_SECRET_ACCESS_KEY": self.secret_key}
        return keys | {"AWS_ENDPOINT_URL": self.url, "AWS_DEFAULT_REGION": REGION}

    def bucket(self, name: str) -> Any:
        """A bucket, made where there is none."""
        keys = {"aws_access_key_id": self.access_key, "aws_secret_access_key": self.secret_key}
        made = boto3.resource("s3", endpoint_url=self.url, region_name=REGION, **keys).Bucket(name)
        made.create()
        return made


@contextmanager
def s3() -> Iterator[S3]:
    """A store of its own, without buckets."""
    with own_folder() as folder:
        port = free_port()
        command = [sys.executable, "-m", "moto.server", "--host", HOST, "--port", str(port)]
        keys = {"access_key": secrets.token_hex(10), "secret_key": secrets.token_hex(20)}
        server = S3(command, port, folder, **keys)
        with running(server):
            yield server
