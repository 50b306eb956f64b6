import { describe, expect, test } from "bun:test";
import { annotate, redactCodes } from "../../src/annotation.ts";

const SERVICE = "ACME";
const PERSON = "+15550142000";
const code = (text: string, from = SERVICE) => annotate(text, from).code;
const values = (text: string) => annotate(text, SERVICE).candidates.map((c) => c.value);

describe("origin-bound codes", () => {
  test("the last line names the code and the host it is for", () => {
    const found = annotate("747723 is your code.\n\n@Example.com #747723", SERVICE);
    expect(found).toMatchObject({ category: "verification_code", code: "747723", origin: "example.com" });
    expect(found.confidence).toBe(1);
    expect(found.embedded).toBeUndefined();
  });

  test("an embedded frame's host is kept apart from the page's", () => {
    const found = annotate("Pay with 123\n@top.example #123 %iframe.example", SERVICE);
    expect(found).toMatchObject({ code: "123", origin: "top.example", embedded: "iframe.example" });
  });

  test("what follows the fields is ignored, as the specification asks", () => {
    expect(annotate("@example.com #747723 %shop.example $future", SERVICE)).toMatchObject({
      code: "747723",
      origin: "example.com",
      embedded: "shop.example",
    });
  });

  test("an app hash after the line does not hide it", () => {
    const found = annotate("<#> 4821 is your code\n@example.com #4821\nGb/7rDY8WTv", SERVICE);
    expect(found).toMatchObject({ code: "4821", origin: "example.com" });
  });

  test("it counts more than any other number of the message", () => {
    const found = annotate("Your code: 111222\n@example.com #K7Q2PD", SERVICE);
    expect(found.code).toBe("K7Q2PD");
    expect(found.candidates.map((c) => c.value)).toContain("111222");
  });

  test.each([
    "something @example.com #747723",
    "#747723 %ecommerce.example @example.com",
    "@example.com code #747723",
    "@john #747723",
    "@-bad-.example #747723",
  ])("is not seen in %p", (text) => {
    expect(annotate(text, SERVICE).origin).toBeUndefined();
  });
});

describe("Android's SMS Retriever", () => {
  test("the app hash is never the code", () => {
    for (const hash of ["Gb/7rDY8WTv", "Kp3+mvDarQZ", "smToo6C3udv", "aAbBcCdDeEf"]) {
      const found = annotate(`<#> Your code is 4821\n${hash}`, SERVICE);
      expect(found.code).toBe("4821");
      expect(found.candidates.map((c) => c.value)).toEqual(["4821"]);
    }
  });

  test("a marked message needs no word for a code", () => {
    expect(code("<#> 5436 - Acme Gb/7rDY8WTv")).toBe("5436");
  });

  test("a hash without the mark is no code either", () => {
    expect(values("Thanks for joining Acme!\nGb/7rDY8WTv")).toEqual([]);
  });
});

describe("what a person would type", () => {
  test.each([
    ["Your code is 482 913", "482913"],
    ["Your code is 482-913", "482913"],
    ["Enter 12-34-56 as your verification code", "123456"],
    ["Your code: 4 8 2 9 1 3", "482913"],
    ["G-123456 is your Google verification code.", "123456"],
    ["Your code: 7Q4K-9XPD", "7Q4K9XPD"],
    ["验证码：４８２９１３", "482913"],
    ["رمز التحقق: ٤٨٢٩١٣", "482913"],
    ["کد تایید: ۴۸۲۹۱۳", "482913"],
    ["आपका ओटीपी ४८२९१३ है", "482913"],
    ["Your code is 4️⃣8️⃣2️⃣1️⃣", "4821"],
    ["Your co\u200bde is 48\u200b2913", "482913"],
    ["Your code: *482913*", "482913"],
    ["Your code is Xk39fLq2", "Xk39fLq2"],
    ["Your sign-in code is WKDQX", "WKDQX"],
    ["Your verification code is 2024", "2024"],
  ])("in %p it is %p", (text, want) => {
    expect(code(text)).toBe(want);
  });

  test("a prefixed code is listed as written too", () => {
    expect(values("G-123456 is your Google verification code.")).toEqual(["123456", "G-123456"]);
  });
});

describe("numbers that are not codes", () => {
  test.each([
    ["a year", "Since 1998 you log in with your code. Now in 2026 too!"],
    ["a date", "Your code was last used on 12.05.2026, before that on 2026-04-30."],
    ["a time", "Your code was requested at 14:32 and again at 1432h."],
    ["a price", "Your code unlocks prices from $4821, 4821 EUR or Rs.4821."],
    ["a phone number", "For your code call 0800 555 0142, +1 555 014 2000 or 555-0142."],
    ["a card's end", "Your PIN for the card ending in 4821, *4821, XX4821 or ****4821 was changed."],
    ["an order", "Your code was applied to order 482913 and to order no. 482914."],
    ["a parcel", "Tracking number 482913377 was scanned."],
    ["a ticket", "Ticket 482913 was opened, ref 48291, case #48292."],
    ["an account", "Account number 48291377 and customer no. 551234 are unchanged."],
    ["a flight", "Flight LH1234 with booking code QX7K2P leaves at 18:45."],
    ["a percentage", "Your code works 4821 % better, by 99.9821%."],
    ["a distance", "You logged 4829 m and 12482 steps."],
    ["a short code to text to", "Reply STOP to 12345, text HELP to 55555."],
    ["a coupon", "Use code SAVE20 or code 4821 at checkout for 20% off."],
    ["a postal code", "Your postal code 90210 and area code 4821 are covered."],
    ["a warning", "Never share your verification code with anyone."],
  ])("%s", (_what, text) => {
    expect(code(text)).toBeUndefined();
  });
});

describe("several numbers", () => {
  test("the best is the code and all are listed, best first", () => {
    const found = annotate("Your order 123456 is packed. To confirm, use code 4821.", SERVICE);
    expect(found.code).toBe("4821");
    expect(found.candidates.map((c) => c.value)).toEqual(["4821", "123456"]);
    expect(found.candidates[1]?.reason).toBe('labelled "order"');
  });

  test("a code beside an amount is a verification code, not a payment", () => {
    const found = annotate(
      "Security code 123456 for payment of 49.90 EUR to Fashion Store, card *7714.",
      SERVICE,
    );
    expect(found).toMatchObject({ category: "verification_code", code: "123456" });
  });

  test("a value that occurs twice is one candidate", () => {
    expect(values("482913 is your code. Again: 482913")).toEqual(["482913"]);
  });
});

describe("the shape alone", () => {
  test("a message of nothing but a number is a code from a service", () => {
    expect(code("4821", "22000")).toBe("4821");
    expect(code("482913", PERSON)).toBe("482913");
  });

  test("a short number from a person is not", () => {
    expect(code("4821", PERSON)).toBeUndefined();
    expect(code("4821", `whatsapp:${PERSON}`)).toBeUndefined();
  });

  test("the sender's own number is not a code", () => {
    expect(code("Verification by Acme: 22000", "22000")).toBeUndefined();
  });
});

describe("delivery codes", () => {
  test("a pickup code is a code of category delivery", () => {
    expect(annotate("Your parcel waits in the locker. Pickup code: 4821", SERVICE)).toMatchObject({
      category: "delivery",
      code: "4821",
    });
  });

  test("a carrier's sign-in code stays a verification code", () => {
    expect(annotate("DHL: 482913 is your verification code to sign in.", SERVICE)).toMatchObject({
      category: "verification_code",
      code: "482913",
    });
  });
});

describe("links", () => {
  const link = (text: string) => annotate(text, SERVICE).link;

  test("a confirmation link is told from the others beside it", () => {
    const text =
      "Welcome! Verify your email: https://app.example.com/verify?token=8fKx92. Unsubscribe: https://app.example.com/unsubscribe?u=77120";
    expect(annotate(text, SERVICE)).toMatchObject({
      category: "confirmation_link",
      link: "https://app.example.com/verify?token=8fKx92",
    });
  });

  test.each([
    ["Confirm your number (app.example.com/v/abc).", "app.example.com/v/abc"],
    ["Verify here: https://example.com/verify/a_(b)c.", "https://example.com/verify/a_(b)c"],
    ["点击链接完成邮箱验证：https://example.cn/verify/8fKx92。谢谢", "https://example.cn/verify/8fKx92"],
    ["Sign in with this link: «https://example.com/magic/8fKx92»", "https://example.com/magic/8fKx92"],
  ])("in %p it is %p", (text, want) => {
    expect(link(text)).toBe(want);
  });

  test("a code may come with the link that carries it", () => {
    const text =
      "Your WhatsApp code: 482-913\nYou can also tap on this link to verify your phone: v.whatsapp.com/482913";
    expect(annotate(text, SERVICE)).toMatchObject({
      category: "verification_code",
      code: "482913",
      link: "v.whatsapp.com/482913",
    });
  });

  test.each([
    "Track your parcel: https://post.example/track/8fKx92LmQ1",
    "Big sale! https://shop.example/s/8fKx92LmQ1",
    "Pay your bill at https://pay.example/i/8fKx92LmQ1",
    "482913 is your code. Didn't request it? https://example.com/help/8fKx92",
    "Confirm your appointment: https://clinic.example/c/8fKx92",
    "Log in at https://bank.example to see your statement.",
  ])("none in %p", (text) => {
    expect(link(text)).toBeUndefined();
  });
});

describe("redaction", () => {
  const redact = (text: string) => redactCodes(text, annotate(text, SERVICE));

  test.each([
    ["Your code is 482 913.", "Your code is ***."],
    ["G-123456 is your code", "*** is your code"],
    ["كود: ٤٨٢٩١٣", "كود: ***"],
    ["48\u200b2913 is your code, again 482-913", "*** is your code, again ***"],
    ["Order 123456, code 4821", "Order ***, code ***"],
    ["𝟒𝟖𝟐𝟏 is your code", "*** is your code"],
    ["482913 is your code\n@example.com #482913", "*** is your code\n@example.com #***"],
    ["Verify your email: https://example.com/verify?token=8fKx92.", "Verify your email: ***."],
    ["Nothing to hide at 14:32", "Nothing to hide at 14:32"],
  ])("%p becomes %p", (text, want) => {
    expect(redact(text)).toBe(want);
  });

  test("a link that carries the code goes as a whole", () => {
    const text = "Code 482913, or tap to verify: https://example.com/v/482913";
    expect(redact(text)).toBe("Code ***, or tap to verify: ***");
  });

  test("an annotation that was stored without its reasons is enough", () => {
    expect(redactCodes("Code 4821 now", { code: "4821", candidates: [] })).toBe("Code *** now");
  });
});

describe("what a stranger hides in a text", () => {
  test("is no link: digits of another script and marks nobody sees would lead elsewhere than what was written", () => {
    for (const text of [
      "Confirm your sign-in: https://\u0662.example.com/verify?t=\u0663\u0664abcdef",
      "Confirm your sign-in: https://exam\u200bple.com/verify?token=abcdef123",
      "Confirm your sign-in: https://example.com\u202e/verify?token=abcdef123",
    ])
      expect(annotate(text, "MYBANK").link ?? "").not.toContain("verify");
    const marked = "Confirm your sign-in: https://example.com/verify?token=abcdef123\u200f";
    expect(annotate(marked, "MYBANK").link).toBe("https://example.com/verify?token=abcdef123");
  });

  test("is no code: an origin-bound line brings nothing that a terminal would obey", () => {
    for (const token of ["12\u001b[31m34", "12\u009b34", "1234\u202e", "\u200b1234"]) {
      const found = annotate(`Sign in\n\n@example.com #${token}`, "22000");
      for (const { value } of found.candidates) expect(value).toMatch(/^[!-~]+$/);
      expect(found.code ?? "0").toMatch(/^[!-~]+$/);
    }
    expect(annotate("Sign in\n\n@example.com #1234", "22000").code).toBe("1234");
  });
});
