import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startWithYaml, texted } from "../reload/support.ts";
import { closing } from "../support/cleanup.ts";
import { rowsOnDisk } from "../support/database.ts";
import { inboundParameters, PHONE, type Service, SMS, STRANGER, startService } from "../support/service.ts";
import { OPEN, start, startWithModel } from "./support.ts";

setDefaultTimeout(20_000);

/** Everything the service has written, as bytes. */
function onDisk(running: Service): string {
  return readdirSync(join(running.folder, "data"), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name)).toString("latin1"))
    .join("\n");
}

const never = (policy: string) => ({
  config: { policies: "./policies", channels: { sms: OPEN } },
  files: { "policies/test.cedar": policy },
});

describe("a sender whom nothing admits", () => {
  test("never reaches the model", async () => {
    const { running, model } = await startWithModel([{ text: "Hello stranger" }], {
      channel: { ...SMS, agent: "assistant", allow_all_senders: false },
    });
    await running.admitted(STRANGER, "are you there?");
    await running.app.idle();
    expect(model.requests).toHaveLength(0);
    expect(await running.inbox(STRANGER)).toEqual([]);
  });

  test("leaves no conversation, no turn, no words and no number", async () => {
    const running = await start({ config: { channels: { sms: SMS } } });
    await running.admitted(STRANGER, "the xylophone is loud");
    await running.app.idle();
    for (const table of ["conversations", "turns", "outbox"])
      expect([table, rowsOnDisk(running, `select * from ${table}`)]).toEqual([table, []]);
    await running.stop();
    expect(onDisk(running)).not.toContain("xylophone");
    expect(onDisk(running)).not.toContain(STRANGER);
  });
});

describe("a policy that can never match", () => {
  test("since it compares an entity with a string, stops the start with file and line", async () => {
    const refused = startService(
      never(`@id("never-matches")
forbid (principal, action == Policy::Action::"receive_message", resource)
when { resource.sender == "+15550001111" };`),
    );
    await expect(refused).rejects.toThrow(/test\.cedar:3:[\s\S]*never-matches/);
  });

  test("since it names an agent there is not, stops the start with the nearest name", async () => {
    const refused = startService(
      never(`@id("misspelt")
forbid (principal == Policy::Agent::"parot", action == Policy::Action::"receive_message", resource);`),
    );
    await expect(refused).rejects.toThrow(/parot[\s\S]*parrot/);
  });
});

test("a forbid that cannot be evaluated denies: it does not fail open", async () => {
  const running = await start(
    never(`@id("too-large")
forbid (principal, action == Policy::Action::"receive_message", resource)
when { resource.num_media + 9223372036854775807 < 0 };`),
  );
  const fine = await running.admitted(STRANGER, "no media");
  expect(await running.message(fine)).toMatchObject({ route: "message" });
  const parameters = inboundParameters(running, {
    From: STRANGER,
    NumMedia: "1",
    MediaUrl0: "https://example.com/a.png",
    MediaContentType0: "image/png",
  });
  await running.webhook(parameters);
  const denied = await running.message(parameters.MessageSid ?? "");
  expect(denied).toMatchObject({ route: "signal", state: "dropped" });
  expect(denied.policies).toContain("too-large");
  expect(denied.error.meaning).toContain("too-large");
  expect(denied.text).toBeUndefined();
});

test("a mode that is switched takes effect with the next text, in both directions", async () => {
  const running = closing(await startWithYaml());
  const to = (mode: string) => running.api("PATCH", "/channels/sms", { mode });
  expect((await texted(running, PHONE, "one")).route).toBe("message");
  expect((await running.received(PHONE, 1))[0]?.text).toBe("one");

  const switched = await to("signal");
  expect(switched.status).toBe(200);
  expect(switched.body).toMatchObject({ id: "sms", mode: "signal", status: "connected" });
  const captured = await texted(running, PHONE, "two");
  expect(captured).toMatchObject({ route: "signal", state: "received", text: "two" });
  expect(await running.inbox(PHONE)).toHaveLength(1);

  expect((await to("message")).body).toMatchObject({ mode: "message", status: "connected" });
  expect((await texted(running, PHONE, "three")).route).toBe("message");
  expect((await running.received(PHONE, 2))[1]?.text).toBe("three");
});
