import { expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { openSandbox } from "../support/binary.ts";

// The binary is built first, which takes its time on a busy machine.
setDefaultTimeout(60_000);

const EMULATOR = "qemu-aarch64-static";
/** Where Debian's cross packages put an arm64 C library. */
const LIBRARIES = "/usr/aarch64-linux-gnu";

test("the arm64 binary does the whole tour under emulation", async () => {
  const missing = [
    ...(Bun.which(EMULATOR) === null ? [EMULATOR] : []),
    ...(existsSync(`${LIBRARIES}/lib/libc.so.6`) ? [] : [`an arm64 C library in ${LIBRARIES}`]),
  ];
  if (missing.length > 0) {
    const what = `the arm64 binary was not run: there is no ${missing.join(" and no ")}`;
    if (process.env.SMS_AGENT_REQUIRE_ARM64 === "1") throw new Error(what);
    console.log(`skipped: ${what}; SMS_AGENT_REQUIRE_ARM64=1 makes this a failure`);
    return;
  }
  const sandbox = await openSandbox({ target: "linux-arm64", under: [EMULATOR, "-L", LIBRARIES] });
  try {
    const version = await sandbox.run(["version"], { patience: 60_000 });
    expect(version).toMatchObject({ code: 0, stderr: "" });
    expect(version.stdout).toEndWith("(linux-arm64)\n");
    const { code, stdout, stderr } = await sandbox.run(["demo", "--tour"], { patience: 110_000 });
    expect(stderr).toBe("");
    const pairing = /Pairing code {2}(\S{9})\n/.exec(stdout)?.[1];
    expect(stdout).toContain(`+15557654321 texts: ${pairing}\n+15557654321 got: This phone is paired.`);
    expect(stdout).toContain("+15557654321 got: Is the washing machine done?\n");
    expect(stdout).toContain("+15550003333 got: nothing\n");
    expect(stdout).toContain("No policy permits it.");
    expect(code).toBe(0);
  } finally {
    await sandbox.close();
  }
}, 240_000);
