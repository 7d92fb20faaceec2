// A function whose SDK tunnels through the extension.

import * as Sentry from "@sentry/aws-serverless";
import { randomBytes } from "node:crypto";

Sentry.init({
  dsn: process.env.SENTRY_DSN,
  tunnel: "http://localhost:5333/envelope",
  tracesSampleRate: 1.0,
});

export const handler = Sentry.wrapHandler(async ({ marker, large }) => {
  Sentry.startSpan({ name: marker, op: "function" }, () => {
    Sentry.captureException(new Error(marker));
  });
  // The digits are random, so that the event stays large when it is compressed.
  const blob = randomBytes(large / 2).toString("hex");
  Sentry.captureMessage(marker, { extra: { blob } });
  return { marker };
});
