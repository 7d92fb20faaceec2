// A minimal runtime client. It replaces AWS's own (aws-lambda-ric), which would have to be compiled.

import http from "node:http";
import path from "node:path";

const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(":");
const agent = new http.Agent({ keepAlive: true });

function call(method, route, body) {
  return new Promise((resolve, reject) => {
    const request = http.request({ host, port, agent, method, path: `/2018-06-01/runtime/${route}` }, (response) => {
      const chunks = [];
      response.on("data", (chunk) => chunks.push(chunk));
      response.on("end", () => resolve({ headers: response.headers, body: Buffer.concat(chunks).toString() }));
      response.on("error", reject);
    });
    request.on("error", reject);
    request.end(body);
  });
}

// As in AWS's client, the module is below the task's folder, or at the absolute path that a tracer has set instead.
const [, module, name] = /^(.+)\.([^.]+)$/.exec(process.env._HANDLER);
const { [name]: handler } = await import(path.resolve(process.env.LAMBDA_TASK_ROOT, `${module}.mjs`));
for (;;) {
  const { headers, body } = await call("GET", "invocation/next");
  const id = headers["lambda-runtime-aws-request-id"];
  const context = {
    awsRequestId: id,
    functionName: process.env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: process.env.AWS_LAMBDA_FUNCTION_VERSION,
    invokedFunctionArn: headers["lambda-runtime-invoked-function-arn"],
    logGroupName: "group",
    logStreamName: "stream",
    getRemainingTimeInMillis: () => Number(headers["lambda-runtime-deadline-ms"]) - Date.now(),
  };
  try {
    await call("POST", `invocation/${id}/response`, JSON.stringify(await handler(JSON.parse(body), context)));
  } catch (error) {
    const report = { errorType: error.name, errorMessage: error.message, stackTrace: [] };
    await call("POST", `invocation/${id}/error`, JSON.stringify(report));
  }
}
