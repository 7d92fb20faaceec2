"""Publishes 62 layers over the link `lo`, whose rate is limited, and prints the seconds of each run as JSON.

`slow_line.py PUBLISHER FOLDER N…` runs the publisher with its defaults, and then with each N as `--max-uploads`.
rows/uploads.py starts it in a network namespace of its own.
"""

import hashlib
import http.client
import io
import json
import os
import pathlib
import subprocess
import sys
import time
import zipfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
EMULATOR = 9210
# 31 regions with two architectures. All uploads together take a minute, so that a bound on the time of one upload
# would be noticed if all of them went at once.
REGIONS = (
    "af-south-1 ap-east-1 ap-northeast-1 ap-northeast-2 ap-northeast-3 ap-south-1 ap-south-2 ap-southeast-1 "
    "ap-southeast-2 ap-southeast-3 ap-southeast-4 ap-southeast-5 ca-central-1 ca-west-1 eu-central-1 eu-central-2 "
    "eu-north-1 eu-south-1 eu-south-2 eu-west-1 eu-west-2 eu-west-3 il-central-1 me-central-1 me-south-1 "
    "mx-central-1 sa-east-1 us-east-1 us-east-2 us-west-1 us-west-2"
).split()
ZIP_BYTES = 300_000


def layer(arch, machine):
    """Returns a layer's zip of that size: the header of a static program, bytes that do not compress, and the link."""
    header = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x02\x00" + bytes([machine, 0, 1]) + bytes(43)
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, mode, content in [
            ("extensions/sentry-lambda-extension", 0o100755, header + os.urandom(ZIP_BYTES) + arch.encode()),
            ("sentry-exec-wrapper", 0o120777, b"extensions/sentry-lambda-extension"),
        ]:
            entry = zipfile.ZipInfo(name)
            entry.create_system, entry.external_attr = 3, mode << 16
            archive.writestr(entry, content)
    return file.getvalue()


def release(folder):
    """Writes a build as `publisher build` leaves it."""
    folder.mkdir()
    artifacts, sums = [], ""
    for arch, machine in [("arm64", 0xB7), ("x86_64", 0x3E)]:
        name, content = f"sentry-lambda-extension-{arch}.zip", layer(arch, machine)
        sha256 = hashlib.sha256(content).hexdigest()
        (folder / name).write_bytes(content)
        sums += f"{sha256}  {name}\n"
        sizes = {"size": len(content), "binary_size": 1, "binary_sha256": "0" * 64}
        artifacts.append({"arch": arch, "file": name, "sha256": sha256, **sizes})
    toolchain = {"rustc": "rustc", "cargo_lambda": "cargo-lambda", "zig": "zig", "std": "prebuilt"}
    build = {"schema": 1, "version": "1.2.3", "commit": "0" * 40, "toolchain": toolchain, "artifacts": artifacts}
    (folder / "build.json").write_text(json.dumps(build))
    (folder / "SHA256SUMS").write_text(sums)


def emulate(folder):
    """Starts the emulator and waits until it answers."""
    settings = {"GATEWAY_PORT": str(EMULATOR), "BIND_HOST": "127.0.0.1", "MINISTACK_HOST": "127.0.0.1"}
    with open(folder / "slow-line-ministack.log", "w") as log:
        ministack = ROOT / ".tools/aws/bin/ministack"
        emulator = subprocess.Popen([ministack], env=os.environ | settings, cwd=folder, stdout=log, stderr=log)
    deadline = time.monotonic() + 60
    while True:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", EMULATOR, timeout=2)
            connection.request("GET", "/_ministack/health")
            connection.getresponse().read()
            return emulator
        except (OSError, http.client.HTTPException):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def publish(publisher, folder, account, more):
    """Publishes a new release in an account of its own. Returns the seconds that it took."""
    release(folder)
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{EMULATOR}",
        "AWS_ACCESS_KEY_ID": account,
        "AWS_SECRET_ACCESS_KEY": "unused",
    }
    command = [publisher, "publish", "--dist", folder, "--regions", ",".join(REGIONS), "--execute", *more]
    began = time.monotonic()
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=600)
    if done.returncode != 0:
        raise RuntimeError(f"publisher publish {' '.join(more)}: {done.stderr.strip()[-1500:]}")
    return time.monotonic() - began


def main():
    publisher, folder, fixed = sys.argv[1], pathlib.Path(sys.argv[2]), sys.argv[3:]
    emulator = emulate(folder)
    try:
        seconds = {"defaults": publish(publisher, folder / "slow-line-defaults", "200000000000", [])}
        for n in fixed:
            account = f"2000000000{int(n):02}"
            seconds[n] = publish(publisher, folder / f"slow-line-{n}", account, ["--max-uploads", n])
    finally:
        emulator.kill()
        emulator.wait()
    print(json.dumps(seconds))


main()
