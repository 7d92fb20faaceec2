// A function whose code does not use Sentry.

export const handler = async ({ marker }) => {
  throw new Error(marker);
};
