"""Services on this machine that stand for the public bucket: one that speaks S3, and ones that are odd."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from training.camelyon.bucket import CAMELYON_BUCKET, Bucket


class Server:
    """A test server, and a client to fill it with."""

    def __init__(self, endpoint: str) -> None:
        boto3 = pytest.importorskip("boto3", reason="boto3 fills the bucket of the test server")
        self.endpoint = endpoint
        keys = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "us-west-2"}
        self.client = boto3.client("s3", endpoint_url=endpoint, **keys)

    def fill(self, objects: dict[str, bytes]) -> Bucket:
        """A bucket with these objects and no others, readable by anybody."""
        for old in self.client.list_buckets()["Buckets"]:
            for item in self.client.list_objects_v2(Bucket=old["Name"]).get("Contents", []):
                self.client.delete_object(Bucket=old["Name"], Key=item["Key"])
            self.client.delete_bucket(Bucket=old["Name"])
        where = {"LocationConstraint": "us-west-2"}
        self.client.create_bucket(Bucket=CAMELYON_BUCKET, CreateBucketConfiguration=where)
        for key, content in objects.items():
            self.client.put_object(Bucket=CAMELYON_BUCKET, Key=key, Body=content, ACL="public-read")
        return Bucket(CAMELYON_BUCKET, self.endpoint)


@contextmanager
def s3_server() -> Iterator[Server]:
    moto_server = pytest.importorskip("moto.server", reason="moto is the test server")
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    threaded = moto_server.ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    threaded.start()
    host, port = threaded.get_host_and_port()
    yield Server(f"http://{host}:{port}")
    threaded.stop()


class Quiet(BaseHTTPRequestHandler):
    """Logs nothing."""

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def served_by(handler: type[Quiet]) -> Iterator[Bucket]:
    """A bucket of a service that answers so."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as service:
        threading.Thread(target=service.serve_forever, args=(0.01,), daemon=True).start()
        yield Bucket(CAMELYON_BUCKET, f"http://127.0.0.1:{service.server_address[1]}")
        service.shutdown()
