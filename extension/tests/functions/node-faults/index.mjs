// A function that ends as its event says, with no word of Sentry.

if (process.env.FAULT === "import") {
  throw new Error("this module cannot be imported");
}

async function takeMemory() {
  const taken = [];
  for (;;) {
    taken.push(Buffer.alloc(1 << 20, 1));
    // Slowly enough to be seen.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const ends = {
  timeout: () => new Promise((resolve) => setTimeout(resolve, 60_000)),
  kill: () => process.kill(process.pid, "SIGKILL"),
  exit: () => process.exit(1),
  memory: takeMemory,
  raise: () => {
    throw new Error("the handler raises");
  },
  none: () => undefined,
};

export async function handler({ end }) {
  await ends[end]();
  return "done";
}
