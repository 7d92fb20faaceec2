// A function that does not know of Sentry.

export const handler = async ({ marker }) => {
  throw new Error(marker);
};
