# Requests to AWS Lambda for the scripts of this folder, signed by curl: for what `publisher` has no command.
# shellcheck shell=bash

# lambda METHOD REGION PATH [BODY-FILE]: prints the answer's body. LAMBDA_HEADERS may name a file for the
# answer's head. Fails on any status but 2xx, and prints AWS's own words then.
lambda() {
  local method=$1 region=$2 path=$3 body=${4:-} answer status suffix=amazonaws.com
  case $region in cn-*) suffix=amazonaws.com.cn ;; eusc-*) suffix=amazonaws.eu ;; esac
  answer=$(mktemp)
  local request=(--silent --show-error --max-time 90 --config - --request "$method" --output "$answer"
    --write-out '%{http_code}' --aws-sigv4 "aws:amz:$region:lambda" --header 'content-type: application/json')
  [ -z "$body" ] || request+=(--data-binary "@$body")
  [ -z "${LAMBDA_HEADERS:-}" ] || request+=(--dump-header "$LAMBDA_HEADERS" --header 'x-amz-log-type: Tail')
  # The secret is read from a pipe: arguments are seen by everybody on the machine.
  status=$(
    {
      printf 'user = "%s:%s"\n' "${AWS_ACCESS_KEY_ID:?}" "${AWS_SECRET_ACCESS_KEY:?}"
      [ -z "${AWS_SESSION_TOKEN:-}" ] || printf 'header = "x-amz-security-token: %s"\n' "$AWS_SESSION_TOKEN"
    } | curl "${request[@]}" "${AWS_ENDPOINT_URL:-https://lambda.$region.$suffix}$path"
  ) || status=000
  case $status in
    2??) cat "$answer" && rm -f "$answer" ;;
    *)
      printf '%s %s: %s %s\n' "$method" "$path" "$status" "$(cat "$answer")" >&2
      rm -f "$answer"
      return 1
      ;;
  esac
}

# python_function NAME ROLE ARCH CODE [LAYER]: the body of a request that creates a function.
python_function() {
  /usr/bin/python3 - "$@" <<'EOF'
import base64, io, json, sys, zipfile

name, role, arch, code, *layers = sys.argv[1:]
archive = io.BytesIO()
with zipfile.ZipFile(archive, "w") as file:
    entry = zipfile.ZipInfo("app.py")
    entry.external_attr = 0o644 << 16
    file.writestr(entry, code)
print(json.dumps({
    "FunctionName": name, "Role": role, "Runtime": "python3.13", "Handler": "app.handler", "Timeout": 15,
    "Architectures": [arch], "Layers": layers, "Code": {"ZipFile": base64.b64encode(archive.getvalue()).decode()},
}))
EOF
}

# create_function REGION NAME BODY-FILE: in place of an older one of that name; returns once it can be invoked.
create_function() {
  local region=$1 name=$2 body=$3 state
  lambda DELETE "$region" "/2015-03-31/functions/$name" >/dev/null 2>&1 || true
  lambda POST "$region" /2015-03-31/functions "$body" >/dev/null
  for _ in $(seq 60); do
    state=$(lambda GET "$region" "/2015-03-31/functions/$name/configuration" | jq -r .State)
    case $state in
      Active) return ;;
      Pending) sleep 1 ;;
      *) break ;;
    esac
  done
  printf '%s is not ready, but %s\n' "$name" "$state" >&2
  return 1
}
