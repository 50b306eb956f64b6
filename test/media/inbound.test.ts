import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { closing } from "../support/cleanup.ts";
import { openHook } from "../support/hook.ts";
import { type ModelServer, startModelServer } from "../support/model-server.ts";
import { NUMBER, PHONE, SMS, STRANGER, startService } from "../support/service.ts";

setDefaultTimeout(20_000);

const PNG = Buffer.from(
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
  "base64",
);
const PNG_URL = `data:image/png;base64,${PNG.toString("base64")}`;

/** A fetch that notes which media were asked for. */
function noting(): { readonly media: string[]; readonly fetch: typeof fetch } {
  const media: string[] = [];
  const noted = (input: string | URL | Request, init?: RequestInit) => {
    const url = input instanceof Request ? input.url : String(input);
    if (/\/Media\/ME/.test(url)) media.push(url);
    return fetch(input, init);
  };
  return { media, fetch: Object.assign(noted, { preconnect: fetch.preconnect }) };
}

async function startLlm(channel: Readonly<Record<string, unknown>>, seen: typeof fetch, more = {}) {
  const model = closing(await startModelServer({ text: "I see." }, { text: "I see." }, { text: "I see." }));
  const agent = {
    type: "llm",
    provider: "openai-compatible",
    base_url: model.baseUrl,
    model: "m",
    system: "s",
  };
  const service = closing(
    await startService({
      config: { channels: { sms: { ...SMS, agent: "eye", ...channel } }, agents: { eye: agent }, ...more },
      seams: { fetch: seen },
    }),
  );
  return { running: service, asked: model };
}

/** What the model was shown last, as JSON. */
const shown = (asked: ModelServer) => JSON.stringify(asked.requests.at(-1)?.body.messages);

describe("a picture that comes with a text", () => {
  test("is shown to the model, and a sound is named", async () => {
    const seen = noting();
    const { running, asked } = await startLlm({ allow_all_senders: true }, seen.fetch);
    const media = [{ contentType: "audio/amr", bytes: new Uint8Array([1]) }];
    await running.simulator.inbound({
      from: PHONE,
      to: NUMBER,
      body: "what is it?",
      mediaUrls: [PNG_URL],
      media,
    });
    await running.received(PHONE, 1);
    expect(shown(asked)).toContain(PNG.toString("base64"));
    expect(shown(asked)).toContain("audio/amr");
    expect(shown(asked)).toContain("what is it?");
    expect(seen.media).toHaveLength(1);
  });

  test("of a stranger is never fetched", async () => {
    const seen = noting();
    const { running, asked } = await startLlm({ allowed_senders: [PHONE] }, seen.fetch);
    const { sid } = await running.simulator.inbound({
      from: STRANGER,
      to: NUMBER,
      body: "x",
      mediaUrls: [PNG_URL],
    });
    await running.logged("inbound.admitted", { sid });
    await running.text(PHONE, "hello");
    await running.received(PHONE, 1);
    expect(seen.media).toEqual([]);
    expect(asked.requests).toHaveLength(1);
  });

  test("that cannot be had is said to the model, and the text is answered all the same", async () => {
    const { running, asked } = await startLlm({ allow_all_senders: true }, noting().fetch);
    await running.simulator.inbound({
      from: PHONE,
      to: NUMBER,
      body: "look",
      mediaUrls: ["https://127.0.0.1:1/a.png"],
      media: [{ contentType: "image/jpeg", bytes: new TextEncoder().encode("<script>") }],
    });
    expect((await running.received(PHONE, 1))[0]?.text).toBe("I see.");
    expect(shown(asked)).toContain(
      "[A picture could not be loaded: it is redirected to a place that is not asked.]",
    );
    expect(shown(asked)).toContain("it is no picture of a known kind");
    expect(shown(asked)).not.toContain("base64");
  });

  test("is given to an http agent as its URL, and not fetched", async () => {
    const seen = noting();
    const endpoint = closing(openHook());
    const service = closing(
      await startService({
        config: {
          channels: { sms: { ...SMS, agent: "hook", allow_all_senders: true } },
          agents: { hook: { type: "http", url: endpoint.url } },
        },
        seams: { fetch: seen.fetch },
      }),
    );
    await service.simulator.inbound({ from: PHONE, to: NUMBER, body: "", mediaUrls: [PNG_URL] });
    const { body } = await endpoint.request(1);
    expect(body.media).toEqual([{ url: expect.stringMatching(/\/Media\/ME/), content_type: "image/png" }]);
    expect(seen.media).toEqual([]);
  });
});
