import { afterAll, beforeAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { join } from "node:path";
import { type ApiMessage, PHONE, type Service, SMS, startService } from "../support/service.ts";
import { CODES, holder, TWO_CHANNELS } from "../tokens/support.ts";

setDefaultTimeout(20_000);

const MAIN = join(import.meta.dir, "..", "..", "src", "main.ts");

let service: Service;
beforeAll(async () => {
  const { channels } = TWO_CHANNELS;
  service = await startService({
    config: { channels: { ...channels, sms: { ...SMS, allow_all_senders: true } } },
  });
});
afterAll(() => service.close());

async function send(to: string, channel = "sms"): Promise<string> {
  return (await service.api("POST", "/messages", { channel, to, body: "hello" })).body.id;
}

async function get(id: string): Promise<ApiMessage> {
  return (await service.api("GET", `/messages/${id}`)).body;
}

async function reaches(id: string, state: string): Promise<ApiMessage> {
  await service.until(async () => (await get(id)).state === state, `${id} to be ${state}`);
  return get(id);
}

const resend = (id: string, headers: Record<string, string> = {}) =>
  service.api("POST", `/messages/${id}/resend`, undefined, headers);

/** A text that comes to a bad end at the carrier. */
async function bad(to: string, kind: "failed" | "undelivered", channel = "sms"): Promise<string> {
  await service.simulator.addFault({ on: "send", kind, code: 30003, times: 1, match: { to } });
  const id = await send(to, channel);
  await reaches(id, kind);
  return id;
}

async function texts(to: string): Promise<number> {
  return (await service.inbox(to)).length;
}

/** Runs `sms-agent messages …` against the service. */
async function messages(...words: string[]) {
  const child = Bun.spawn(
    [process.execPath, MAIN, "messages", ...words, "--url", service.adminUrl, "--token", service.token],
    { cwd: service.folder, stdout: "pipe", stderr: "pipe", timeout: 10_000 },
  );
  const [out, err, code] = await Promise.all([
    new Response(child.stdout).text(),
    new Response(child.stderr).text(),
    child.exited,
  ]);
  return { out: out.trim(), err: err.trim(), code };
}

describe("sending again", () => {
  for (const kind of ["failed", "undelivered"] as const)
    test(`what was ${kind} keeps its timeline, loses its error, and gets the carrier's new id`, async () => {
      const to = kind === "failed" ? "+15557000001" : "+15557000002";
      const id = await bad(to, kind);
      const before = await get(id);
      const answer = await resend(id);
      expect([answer.status, answer.body]).toEqual([202, { id, state: "pending" }]);
      const after = await reaches(id, "delivered");
      expect(after.error).toBeUndefined();
      expect(after.provider_sid).not.toBe(before.provider_sid);
      expect(after.events.slice(0, before.events.length)).toEqual(before.events);
      expect(await texts(to)).toBe(1);
    });

  test("what the carrier refused for good is a new try", async () => {
    const to = "+15557000003";
    await service.simulator.addFault({ on: "send", kind: "error", code: 21999, times: 1, match: { to } });
    const id = await send(to);
    await reaches(id, "failed");
    expect((await resend(id)).status).toBe(202);
    await reaches(id, "delivered");
  });

  test("is done once by two presses at the same time, and refused after that with what to do", async () => {
    const to = "+15557000004";
    const id = await bad(to, "failed");
    const answers = await Promise.all([resend(id), resend(id), resend(id)]);
    expect(answers.map(({ status }) => status).sort()).toEqual([202, 409, 409]);
    await reaches(id, "delivered");
    const late = await resend(id);
    expect([late.status, late.body.detail]).toEqual([409, `${id} has arrived.`]);
    expect(late.body.fix).toContain("sms-agent send");
    expect(await texts(to)).toBe(1);
  });

  test("with a key is the same request however often it is made, and the key is good for no other", async () => {
    const to = "+15557000005";
    const id = await bad(to, "failed");
    const key = { "idempotency-key": "again-1" };
    expect((await resend(id, key)).status).toBe(202);
    await reaches(id, "delivered");
    const again = await resend(id, key);
    expect([again.status, again.body]).toEqual([202, { id, state: "delivered" }]);
    const other = await bad("+15557000006", "failed");
    expect((await resend(other, key)).status).toBe(409);
    expect(await texts(to)).toBe(1);
  });

  test("is not undone by late callbacks of the try before", async () => {
    const to = "+15557000007";
    const id = await bad(to, "failed");
    const { provider_sid: sid } = await get(id);
    await service.api("PATCH", "/channels/sms", { enabled: false });
    expect((await resend(id)).status).toBe(202);
    for (const status of ["sent", "failed"]) {
      const parameters = {
        MessageSid: sid,
        SmsSid: sid,
        MessageStatus: status,
        SmsStatus: status,
        AccountSid: service.settings.channels.sms?.account.accountSid ?? "",
        From: SMS.from_number,
        To: to,
        ApiVersion: "2010-04-01",
      };
      const query = `m=${id}.1`;
      expect((await service.webhook(parameters, { status: true, query })).status).toBe(204);
      expect((await get(id)).state).toBe("pending");
    }
    await service.api("PATCH", "/channels/sms", { enabled: true });
    const message = await reaches(id, "delivered");
    expect(JSON.stringify(message.events)).toContain("Of try 1, which another one has replaced.");
    expect(await texts(to)).toBe(1);
  });

  test("to who has opted out is refused until START lifts it", async () => {
    const to = "+15557000008";
    await service.admitted(to, "STOP");
    const id = await send(to);
    expect((await get(id)).state).toBe("suppressed");
    const refused = await resend(id);
    expect([refused.status, refused.body.fix]).toEqual([409, expect.stringContaining("START")]);
    await service.admitted(to, "START");
    expect((await resend(id)).status).toBe(202);
    await reaches(id, "delivered");
  });

  test("a text that came in and was answered is refused, and so is one that is not there", async () => {
    const sid = await service.admitted(PHONE, "hello");
    await service.until(async () => (await service.message(sid)).state === "handled", "the answer");
    const { id } = await service.message(sid);
    const refused = await resend(id);
    expect([refused.status, refused.body.detail]).toEqual([409, expect.stringContaining("was answered")]);
    expect((await resend("msg_none")).status).toBe(404);
  });

  test("takes messages:send, on the message's own channel", async () => {
    const id = await bad("+15557000009", "failed");
    const foreign = await bad("+15557000010", "failed", "codes");
    const path = (message: string) => `/messages/${message}/resend`;
    const reader = await holder(service, { scopes: ["read"] });
    const other = await holder(service, { scopes: ["messages:send"], channels: ["codes"] });
    const own = await holder(service, { scopes: ["messages:send"], channels: ["sms"] });
    expect((await reader("POST", path(id))).status).toBe(403);
    expect((await other("POST", path(id))).status).toBe(404);
    expect((await own("POST", path(foreign))).status).toBe(404);
    expect((await own("POST", path(id))).status).toBe(202);
    await reaches(id, "delivered");
    expect((await get(foreign)).from).toBe(CODES);
  });

  test("waits for the next day where the segments of the day are used up", async () => {
    const limited = await startService({
      config: { channels: { sms: SMS }, limits: { segments_per_day: 1 } },
    });
    try {
      await limited.simulator.addFault({ on: "send", kind: "failed", times: 1 });
      const sent = await limited.api("POST", "/messages", { channel: "sms", to: PHONE, body: "hello" });
      const path = `/messages/${sent.body.id}`;
      await limited.until(
        async () => (await limited.api("GET", path)).body.state === "failed",
        "the failure",
      );
      expect((await limited.api("POST", `${path}/resend`)).status).toBe(202);
      await limited.logged("alert");
      expect((await limited.api("GET", path)).body.state).toBe("pending");
    } finally {
      await limited.close();
    }
  });

  test("is a verb of the command line", async () => {
    const id = await bad("+15557000011", "failed");
    const help = await messages("resend", "--help");
    expect([help.code, help.out]).toEqual([0, expect.stringContaining("sms-agent messages resend msg_")]);
    expect(await messages("resend", id)).toEqual({ code: 0, out: `${id}  pending`, err: "" });
    await reaches(id, "delivered");
    const refused = await messages("resend", id, "--json");
    expect([refused.code, refused.out, refused.err.split("\n")[0]]).toEqual([1, "", `${id} has arrived.`]);
    const second = await bad("+15557000012", "failed");
    const json = await messages("resend", second, "--json");
    expect(JSON.parse(json.out)).toEqual({ id: second, state: "pending" });
    expect((await messages("resend")).code).toBe(2);
    expect((await messages(id)).out).toContain("state delivered");
  });

  test("is in the OpenAPI document", async () => {
    const response = await fetch(`${service.adminUrl}/openapi.json`, {
      headers: { authorization: `Bearer ${service.token}` },
    });
    const document = JSON.stringify(await response.json());
    expect(document).toContain("/messages/{id}/resend");
  });
});
