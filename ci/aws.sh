# Requests to AWS Lambda for the scripts of this folder: for what `publisher` has no command.
# shellcheck shell=bash

install_boto3() {
  /usr/bin/python3 -m venv .tools/boto3
  .tools/boto3/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: \
    -r ci/requirements-boto3.txt
}

# lambda COMMAND REGION ARGUMENT…: ci/lambda.py says what there is. The emulators of the tests bring boto3 along; where they are
# not, which is where a release is tried in AWS, it is installed alone.
lambda() {
  local python=.tools/aws/bin/python
  if [ ! -x $python ]; then
    keep .tools/boto3 "$(/usr/bin/python3 --version) $(hash_of ci/requirements-boto3.txt)" install_boto3 >&2
    python=.tools/boto3/bin/python
  fi
  $python ci/lambda.py "$@"
}
