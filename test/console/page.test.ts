import { afterAll, beforeAll, expect, setDefaultTimeout, test } from "bun:test";
import { existsSync } from "node:fs";
import { type Browser, chromium, type Page } from "playwright-core";
import { PHONE, type Service, SMS, startService } from "../support/service.ts";

/*
 * The page in a real browser. Debian's Chromium is looked for; where it must be there, SMS_AGENT_REQUIRE_BROWSER=1
 * says so.
 */

setDefaultTimeout(60_000);

const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(
  existsSync,
);
const MARKUP = `<img src=x onerror="document.title='owned'"><script>document.title='owned'</script>`;

let service: Service;
let browser: Browser | undefined;
let page: Page;
const left: string[] = [];
const errors: string[] = [];

beforeAll(async () => {
  if (CHROMIUM === undefined) return;
  service = await startService({
    config: {
      channels: {
        sms: SMS,
        codes: { provider: "simulator", from_number: "+15550100002", mode: "signal" },
        pool: {
          provider: "simulator",
          messaging_service_sid: "MG00000000000000000000000000001234",
          agent: "parrot",
          debounce: "0s",
          allow_all_senders: true,
        },
      },
    },
  });
  browser = await chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });
  page = await browser.newPage();
  page.on("request", (request) => {
    if (!request.url().startsWith(service.adminUrl)) left.push(request.url());
  });
  page.on("pageerror", (error) => errors.push(error.message));
  page.on("console", (line) => {
    if (/Content Security Policy|Trusted/i.test(line.text())) errors.push(line.text());
  });
});

afterAll(async () => {
  await browser?.close();
  await service?.close();
});

if (CHROMIUM === undefined) {
  test("a browser is there to try the console in", () => {
    if (process.env.SMS_AGENT_REQUIRE_BROWSER === "1") throw new Error("there is no Chromium");
    console.log("skipped: there is no Chromium here (apt install chromium)");
  });
} else {
  test("a one-time link signs in, and leaves no trace of itself in the address", async () => {
    const { body } = await service.api("POST", "/sign-in-links");
    await page.goto(`${service.adminUrl}${body.path}`);
    await page.waitForSelector("h1:has-text('Channels')");
    expect(page.url()).not.toContain("sign-in");
    expect(await page.locator(".card").count()).toBe(3);
  });

  test("the pairing code is shown with a picture and a countdown, and a simulated phone is paired with it", async () => {
    const { body } = await service.api("GET", "/channels/sms");
    const shown = page.locator(".card", { hasText: "sms" }).first();
    expect(await shown.locator(".code").textContent()).toBe(body.pairing.code);
    expect(await shown.locator("svg[aria-label]").getAttribute("aria-label")).toContain(body.pairing.sms_uri);
    expect(await shown.locator(".pairing").textContent()).toMatch(/good for \d+:\d\d/);
    await page.click("nav >> text=Phone");
    await page.fill("[aria-label=Text]", body.pairing.code);
    await page.keyboard.press("Enter");
    await page.waitForSelector(".thread .inbound");
    expect(await page.locator(".thread .inbound").first().textContent()).toContain("This phone is paired");
  });

  test("a text with markup in it is shown, never run", async () => {
    await page.fill("[aria-label=Text]", MARKUP);
    await page.click("text=Send");
    await page.waitForSelector(".thread .outbound:has-text('onerror')");
    await page.click("nav >> text=Messages");
    await page.waitForSelector(".line:has-text('onerror')");
    expect(await page.locator("main img").count()).toBe(0);
    expect(await page.title()).toBe("sms-agent");
  });

  test("a message opens with its timeline and the policies that decided, by keyboard too", async () => {
    await page.locator(".line", { hasText: "onerror" }).first().focus();
    await page.keyboard.press("Enter");
    await page.waitForSelector(".timeline");
    expect(await page.locator(".detail").textContent()).toContain("paired-senders");
    await page.keyboard.press("Escape");
    await page.waitForSelector(".timeline", { state: "detached" });
  });

  test("a text that comes in appears by itself", async () => {
    await service.text(PHONE, "as it happens");
    await page.waitForSelector(".line:has-text('as it happens')");
  });

  test("a code that is waited for is shown where it was caught", async () => {
    await page.click("nav >> text=Watches");
    await page.fill("[placeholder^='22000']", "22000");
    await page.click("text=Wait 10 minutes");
    await page.waitForSelector(".pill:has-text('pending')");
    await service.text("22000", "Your code is 482913", "+15550100002");
    await page.waitForSelector(".signal:has-text('482913')");
  });

  test("the phone texts a Messaging Service too, and shows what it answers", async () => {
    const { body } = await service.api("GET", "/channels/pool");
    await page.click("nav >> text=Phone");
    await page.selectOption("label:has-text('and text') select", { label: `pool (${body.number})` });
    await page.fill("[aria-label=Text]", "to the pool");
    await page.keyboard.press("Enter");
    await page.waitForSelector(".thread .outbound:has-text('to the pool')");
    await page.waitForSelector(".thread .inbound:has-text('to the pool')");
    expect(await page.locator(".thread li:not(.end)").count()).toBe(2);
  });

  test("the tester says whether a sender would get through, and why", async () => {
    await page.click("nav >> text=Policies");
    for (const [from, words] of [
      [PHONE, "paired-senders"],
      ["+15550003333", "No policy permits it"],
      ["12", "from"],
    ] as const) {
      await page.fill("[placeholder='+15551234567']", from);
      await page.click("text=Ask");
      await page.waitForSelector(`.note:has-text('${words}')`);
    }
  });

  test("the mode is switched from the page", async () => {
    await page.click("nav >> text=Channels");
    const card = page.locator(".card", { has: page.locator("h2", { hasText: /^sms$/ }) });
    await card.locator("button", { hasText: "signal" }).click();
    await card.locator("button[aria-pressed=true]", { hasText: "signal" }).waitFor();
    expect((await service.api("GET", "/channels/sms")).body.mode).toBe("signal");
    await card.locator("button", { hasText: "message" }).click();
    await card.locator("button[aria-pressed=true]", { hasText: "message" }).waitFor();
  });

  test.each([
    [390, "dark"],
    [1280, "light"],
  ] as const)("every page fits a width of %p in the %p colours", async (width, colorScheme) => {
    await page.setViewportSize({ width, height: 800 });
    await page.emulateMedia({ colorScheme });
    for (const name of ["Channels", "Messages", "Conversations", "Watches", "Policies", "Usage", "Phone"]) {
      await page.click(`nav >> text=${name}`);
      await page.waitForSelector(`h1:has-text('${name}')`);
      expect(await page.evaluate("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
    }
    const back = await page.evaluate("getComputedStyle(document.body).backgroundColor");
    expect(back).toBe(colorScheme === "dark" ? "rgb(18, 21, 19)" : "rgb(246, 247, 245)");
  });

  test("signing out shows the login page, and the cookie is worth nothing any more", async () => {
    await page.click("text=Sign out");
    await page.waitForSelector("input[type=password]");
    await page.reload();
    await page.waitForSelector("input[type=password]");
    await page.fill("input[type=password]", "wrong");
    await page.keyboard.press("Enter");
    await page.waitForSelector("[role=alert]:has-text('not valid')");
    await page.fill("input[type=password]", service.token);
    await page.keyboard.press("Enter");
    await page.waitForSelector("h1:has-text('Phone')");
  });

  test("no request has left the machine, and nothing was blocked or thrown on the page", () => {
    expect(left).toEqual([]);
    expect(errors).toEqual([]);
  });
}
