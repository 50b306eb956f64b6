import { createHash } from "node:crypto";

/** What every provider takes as the name of a function. */
const MAX_LENGTH = 64;
const HASH_LENGTH = 10;

/**
 * The name by which a model knows a tool: `home.unlock_door` becomes `home__unlock_door`. It depends on the
 * tool's name alone, so that a turn that is run again finds the same names, whatever other tools there are.
 *
 * A name that is too long, has other characters, or could be read as the name of another tool is shortened and
 * gets a part of its own hash.
 */
export function modelToolName(name: string): string {
  const dot = name.indexOf(".");
  const server = dot < 0 ? "" : name.slice(0, dot);
  const tool = dot < 0 ? name : name.slice(dot + 1);
  const joined = dot < 0 ? tool : `${server}__${tool}`;
  const exact =
    /^[a-zA-Z0-9_-]+$/.test(joined) &&
    joined.length <= MAX_LENGTH &&
    // The first `__` must be ours, else two names could give one.
    (dot < 0 ? !tool.includes("__") : server !== "" && !server.includes("__") && !server.endsWith("_")) &&
    // and nothing may look like a hashed name
    !HASHED.test(joined);
  if (exact) return joined;
  const hash = createHash("sha256").update(name).digest("hex").slice(0, HASH_LENGTH);
  const readable = joined.replace(/[^a-zA-Z0-9_-]+/g, "_").slice(0, MAX_LENGTH - HASH_LENGTH - 2);
  return `${readable}_x${hash}`;
}

const HASHED = new RegExp(`_x[0-9a-f]{${HASH_LENGTH}}$`);
