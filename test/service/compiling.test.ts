import { expect, setDefaultTimeout, test } from "bun:test";
import { startService } from "../support/service.ts";

setDefaultTimeout(20_000);

test("what is run often is compiled from when the service listens, not before", async () => {
  const steps: string[] = [];
  const service = await startService({
    seams: { compileHotCode: () => void steps.push("compiled") },
    onListening: () => void steps.push("listening"),
  });
  try {
    expect(steps.at(-1)).toBe("compiled");
    expect(steps).toContain("listening");
  } finally {
    await service.close();
  }
});
