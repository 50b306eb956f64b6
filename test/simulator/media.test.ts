import { afterEach, describe, expect, test } from "bun:test";
import { ACCOUNT, NUMBER, PHONE, receive, request, startSimulator, TOKEN } from "./support.ts";

let simulator = startSimulator();

afterEach(() => simulator.stop());

const text = (body: string, more: Record<string, unknown> = {}) =>
  simulator.control.inbound({ from: PHONE, to: NUMBER, body, ...more });

describe("media", () => {
  test("of an inbound text are fetched with credentials, by way of a CDN that refuses them", async () => {
    const hook = receive();
    simulator = startSimulator({ numbers: [{ number: NUMBER, smsUrl: `${hook.url}/in` }] });
    await simulator.api(".json"); // from here on the simulator knows where it is reached
    const bytes = new Uint8Array([1, 2, 3, 0, 255]);
    const { sid } = await text("look", {
      media: [{ contentType: "image/png", bytes }],
      mediaUrls: [`data:text/plain;base64,${btoa("hi")}`, "https://example.com/cat.JPG"],
    });
    expect(sid).toMatch(/^MM[0-9a-f]{32}$/);
    const [call] = await hook.until(1);
    expect(call?.params).toMatchObject({
      NumMedia: "3",
      MediaContentType0: "image/png",
      MediaContentType1: "text/plain",
      MediaContentType2: "image/jpeg",
    });
    const url = call?.form.get("MediaUrl0") ?? "";
    expect(url).toMatch(
      new RegExp(`^${simulator.origin}/2010-04-01/Accounts/${ACCOUNT}/Messages/${sid}/Media/ME[0-9a-f]{32}$`),
    );
    expect((await request(url)).status).toBe(401);
    const auth = `${ACCOUNT}:${TOKEN}`;
    const redirect = await request(url, { auth });
    expect(redirect.status).toBe(307);
    const location = redirect.headers.get("Location") ?? "";
    expect(new URL(location).hostname).toBe("localhost");
    expect((await request(location, { auth })).status).toBe(400);
    const file = await fetch(location);
    expect(file.headers.get("Content-Type")).toBe("image/png");
    expect(await file.bytes()).toEqual(bytes);
    const linked = await request(call?.form.get("MediaUrl2") ?? "", { auth });
    expect(linked.headers.get("Location")).toBe("https://example.com/cat.JPG");

    const list = (await simulator.api(`/Messages/${sid}/Media.json`)).json.media_list;
    expect(list.map((item: { content_type: string }) => item.content_type)).toEqual([
      "image/png",
      "text/plain",
      "image/jpeg",
    ]);
    expect((await simulator.api(`/Messages/${sid}/Media/${list[0].sid}`, { method: "DELETE" })).status).toBe(
      204,
    );
    expect((await request(location)).status).toBe(404);
    expect((await simulator.api(`/Messages/${sid}.json`)).json.num_media).toBe("2");
  });

  test("of an outbound message are fetched where that is allowed, and fail it where they cannot be had", async () => {
    const site = receive((call) =>
      call.url.endsWith("/cat.png")
        ? new Response("meow", { headers: { "Content-Type": "image/png" } })
        : new Response("", { status: 404 }),
    );
    simulator = startSimulator({ fetchMedia: (url) => url.startsWith(site.url) });
    await simulator.send({ MediaUrl: [`${site.url}/cat.png`, "http://127.0.0.1:1/never.gif"] });
    await simulator.settled();
    const [message] = await simulator.control.messages(PHONE);
    expect(message).toMatchObject({ state: "delivered", sid: expect.stringMatching(/^MM/) });
    expect(message?.media).toEqual([
      { url: expect.stringContaining("/cdn/ME"), contentType: "image/png" },
      { url: "http://127.0.0.1:1/never.gif", contentType: "image/gif" },
    ]);
    expect(await (await fetch(message?.media[0]?.url ?? "")).text()).toBe("meow");
    expect(site.calls).toHaveLength(1);

    await simulator.send({ MediaUrl: `${site.url}/gone.png` });
    await simulator.settled();
    expect((await simulator.control.messages(PHONE)).at(-1)).toMatchObject({
      state: "failed",
      errorCode: 11_200,
    });
  });

  test("are dropped, the oldest first, when they grow too large", async () => {
    simulator = startSimulator({ maxMediaBytes: 100 });
    await simulator.api(".json");
    for (let i = 0; i < 3; i++)
      await text("x", { media: [{ contentType: "text/plain", bytes: new Uint8Array(40) }] });
    const urls = (await simulator.control.messages(PHONE)).map((message) => message.media[0]?.url ?? "");
    const found = await Promise.all(urls.map(async (url) => (await fetch(url)).status));
    expect(found).toEqual([404, 200, 200]);
  });
});
