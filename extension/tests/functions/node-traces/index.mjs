// A function whose code does not use Sentry.

export const handler = async (event) => event;
