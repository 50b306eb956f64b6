import { describe, expect, test } from "bun:test";
import { createHmac } from "node:crypto";
import fc from "fast-check";
import twilio from "twilio";
import { getExpectedTwilioSignature } from "twilio/lib/webhooks/webhooks";
import { parseForm } from "../../src/twilio/form.ts";
import { sign, signedUrls, verify } from "../../src/twilio/signature.ts";

const TOKEN = "12345";
const URL_ = "https://mycompany.com/myapp.php?foo=1&bar=2";
const P: [string, string][] = [
  ["CallSid", "CA1234567890ABCDE"],
  ["Caller", "+14158675309"],
  ["Digits", "1234"],
  ["From", "+14158675309"],
  ["To", "+18005551212"],
];
const form = (pairs: Iterable<[string, string]>) => parseForm(new URLSearchParams([...pairs]).toString());

describe("signature vectors", () => {
  const cases: [string, string, [string, string][], string][] = [
    ["plain", URL_, P, "RSOYDt4T1cUTdK1PDd93/VVr8B8="],
    ["with the https port", URL_.replace(".com", ".com:443"), P, "kvajT1Ptam85bY51eRf/AJRuM3w="],
    [
      "with the http port",
      URL_.replace("https", "http").replace(".com", ".com:80"),
      P,
      "0ZXoZLH/DfblKGATFgpif+LLRf4=",
    ],
    [
      "with a repeated name",
      URL_,
      [
        ["Sid", "CA123"],
        ["SidAccount", "AC123"],
        ["Digits", "5678"],
        ["Digits", "1234"],
        ["Digits", "1234"],
      ],
      "IK+Dwps556ElfBT0I3Rgjkr1wJU=",
    ],
    [
      "with other callers, parameters in any order",
      "https://example.com/myapp.php?foo=1&bar=2",
      P.map(([n, v]): [string, string] => [n, v.replace("5309", "5310")]).reverse(),
      "L/OH5YylLD5NRKLltdqwSvS0BnU=",
    ],
  ];
  for (const [name, url, params, signature] of cases) {
    test(`a form signed ${name} verifies`, () => {
      expect(sign(TOKEN, url, form(params))).toBe(signature);
      expect(verify(signature, [url], { kind: "form", params: form(params) }, [TOKEN])).toBe(true);
    });
  }

  const bodyUrl = `${URL_}&bodySHA256=0a1ff7634d9ab3b95db5c9a2dfe9416e41502b283a80c7cf19632632f96e6620`;
  const bodySignature = "a9nBmqA0ju/hNViExpshrM61xv4=";
  const body = '{"property": "value", "boolean": true}';

  test("a JSON body verifies by its hash in the query", () => {
    const bytes = new TextEncoder().encode(body);
    expect(verify(bodySignature, [bodyUrl], { kind: "body", body }, [TOKEN])).toBe(true);
    expect(verify(bodySignature, [bodyUrl], { kind: "body", body: bytes }, [TOKEN])).toBe(true);
  });

  test("a JSON body that was changed, or whose hash is missing, does not verify", () => {
    expect(verify(bodySignature, [bodyUrl], { kind: "body", body: `${body} ` }, [TOKEN])).toBe(false);
    const unhashed = sign(TOKEN, URL_, parseForm(""));
    expect(verify(unhashed, [URL_], { kind: "body", body }, [TOKEN])).toBe(false);
  });

  test("every vector verifies through the configured public URL in the form Twilio may have used", () => {
    const urls = signedUrls("https://mycompany.com", "/myapp.php", "foo=1&bar=2");
    const params = form(P);
    for (const signature of ["RSOYDt4T1cUTdK1PDd93/VVr8B8=", "kvajT1Ptam85bY51eRf/AJRuM3w="])
      expect(verify(signature, urls, { kind: "form", params }, [TOKEN])).toBe(true);
    const plain = signedUrls("http://mycompany.com", "/myapp.php", "foo=1&bar=2");
    expect(verify("0ZXoZLH/DfblKGATFgpif+LLRf4=", plain, { kind: "form", params }, [TOKEN])).toBe(true);
  });
});

describe("what does not verify", () => {
  const params = form(P);
  const good = "RSOYDt4T1cUTdK1PDd93/VVr8B8=";
  const check = (header: string | null | undefined, tokens: (string | undefined)[] = [TOKEN]) =>
    verify(header, [URL_], { kind: "form", params }, tokens);

  test("a missing, empty, forged, shortened or lengthened signature is refused", () => {
    for (const header of [
      undefined,
      null,
      "",
      "x",
      good.slice(1),
      `${good}=`,
      good.toLowerCase(),
      ` ${good}`,
    ])
      expect(check(header)).toBe(false);
    expect(check(good)).toBe(true);
  });

  test("what is left of the request before completes no signature", () => {
    for (const header of [
      `${good.slice(0, 27)}é`,
      `${good.slice(0, 27)}€`,
      `é${good.slice(1)}`,
      "é".repeat(14),
    ]) {
      expect(check(good)).toBe(true);
      expect(check(header), header).toBe(false);
    }
  });

  test("an empty or missing token signs nothing, even when the forger used the empty one", () => {
    expect(check(sign("", URL_, params), ["", undefined])).toBe(false);
    expect(check(good, [])).toBe(false);
  });

  test("a changed, added or removed parameter is refused", () => {
    const changes: [string, string][][] = [
      P.map(([n, v]) => [n, n === "To" ? "+18005551213" : v]),
      [...P, ["Extra", ""], ["Extra2", "x"]],
      P.slice(1),
    ];
    for (const pairs of changes)
      expect(verify(good, [URL_], { kind: "form", params: form(pairs) }, [TOKEN])).toBe(false);
  });

  test("the signature of another path, host or query is refused", () => {
    for (const url of [`${URL_}&x=1`, URL_.replace("myapp", "other"), URL_.replace("mycompany", "evil")])
      expect(verify(good, [url], { kind: "form", params }, [TOKEN])).toBe(false);
  });

  test("the previous token verifies while tokens are rotated", () => {
    expect(check(good, ["new-token", TOKEN])).toBe(true);
    expect(check(good, ["new-token", undefined])).toBe(false);
  });
});

describe("signed text", () => {
  test("names are sorted by their bytes", () => {
    const pairs: [string, string][] = [
      ["body", "5"],
      ["MediaUrl2", "4"],
      ["MediaUrl10", "3"],
      ["MediaUrl1", "2"],
      ["Body", "1"],
    ];
    const url = "https://example.com/";
    const text = `${url}Body1MediaUrl12MediaUrl103MediaUrl24body5`;
    expect(sign(TOKEN, url, form(pairs))).toBe(createHmac("sha1", TOKEN).update(text).digest("base64"));
  });

  test("names outside the BMP verify in byte order and in the SDK's UTF-16 order", () => {
    const params = { "\u{1F600}": "a", "\uFFFD": "b" };
    const url = "https://example.com/";
    const ours = form(Object.entries(params));
    const theirs = getExpectedTwilioSignature(TOKEN, url, params);
    expect(sign(TOKEN, url, ours)).not.toBe(theirs);
    for (const signature of [theirs, sign(TOKEN, url, ours)])
      expect(verify(signature, [url], { kind: "form", params: ours }, [TOKEN])).toBe(true);
  });

  test("blank values, untrimmed values, plus signs and emoji are signed as they were decoded", () => {
    const raw = "Body=+a%2Bb+%F0%9F%98%80%0A&FromCity=&FromZip&To=%2B15551234567";
    const params = { Body: " a+b \u{1F600}\n", FromCity: "", FromZip: "", To: "+15551234567" };
    const signature = getExpectedTwilioSignature(TOKEN, "https://example.com/x", params);
    const urls = ["https://example.com/x"];
    expect(verify(signature, urls, { kind: "form", params: parseForm(raw) }, [TOKEN])).toBe(true);
    const bytes = new TextEncoder().encode(raw);
    expect(verify(signature, urls, { kind: "form", params: parseForm(bytes) }, [TOKEN])).toBe(true);
  });

  // Text a carrier can bring: no lone surrogates, which have no UTF-8.
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 30 }),
    fc.string({
      unit: fc.constantFrom("+", "%2B", " ", "&", "=", "é", "\u{1F600}", "?", "#", "\u0000"),
      maxLength: 12,
    }),
  );
  // An object's order of integer-like keys and `__proto__` are matters of the SDK's plain object, not of signing.
  const name = text.filter((value) => value !== "__proto__");
  const value = fc.oneof(text, fc.array(text, { minLength: 1, maxLength: 4 }));

  test("whatever the SDK signs, over any parameters, verifies here", () => {
    fc.assert(
      fc.property(
        fc.dictionary(name, value, { maxKeys: 12 }),
        fc.constantFrom("", "m=msg_1.1", "a=%20b&c=+&d=%2B", "x=é"),
        fc.constantFrom("", ":443", ":8443"),
        fc.string({ minLength: 1 }),
        (params, query, port, token) => {
          const path = "/webhooks/twilio/sms";
          const url = `https://sms.example.com${port}${path}${query === "" ? "" : `?${query}`}`;
          const signature = getExpectedTwilioSignature(token, url, params);
          const body = Object.entries(params)
            .flatMap(([n, v]) => (Array.isArray(v) ? v : [v]).map((one) => [n, one] as const))
            .map(([n, v]) => `${encodeURIComponent(n)}=${encodeURIComponent(v)}`)
            .join("&");
          const urls = signedUrls(`https://sms.example.com${port}`, path, query);
          const payload = { kind: "form", params: parseForm(body) } as const;
          expect(verify(signature, urls, payload, [token])).toBe(true);
          expect(verify(signature, urls, payload, [`${token}x`])).toBe(false);
        },
      ),
      { numRuns: 500 },
    );
  });

  test("whatever is signed here, the SDK validates", () => {
    fc.assert(
      fc.property(fc.dictionary(name, value, { maxKeys: 8 }), (params) => {
        const pairs = Object.entries(params).flatMap(([n, v]) =>
          (Array.isArray(v) ? v : [v]).map((one): [string, string] => [n, one]),
        );
        // Where the two orders differ the SDK knows only its own.
        fc.pre(!pairs.some(([n, v]) => /[\ud800-\udfff]/.test(n + v)));
        const url = "https://sms.example.com/webhooks/twilio/sms";
        expect(twilio.validateRequest(TOKEN, sign(TOKEN, url, form(pairs)), url, params)).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});

describe("signed URLs", () => {
  test("come with and without the default port", () => {
    expect(signedUrls("https://a.example", "/w", "")).toEqual([
      "https://a.example/w",
      "https://a.example:443/w",
    ]);
    expect(signedUrls("http://a.example", "/w", "")).toEqual(["http://a.example/w", "http://a.example:80/w"]);
    expect(signedUrls("https://a.example:443", "/w", "")).toEqual([
      "https://a.example:443/w",
      "https://a.example/w",
    ]);
    expect(signedUrls("https://a.example:8443", "/w", "")).toContain("https://a.example:8443/w");
  });

  test("have no user name, password or fragment", () => {
    expect(signedUrls("https://me:p@ss@a.example/#x", "/w", "q=1")[0]).toBe("https://a.example/w?q=1");
  });

  test("keep the public URL's path and the query byte for byte", () => {
    expect(signedUrls("https://a.example/sms/", "/w", "a=%2b&b=+'&a=")[0]).toBe(
      "https://a.example/sms/w?a=%2b&b=+'&a=",
    );
  });

  test("leave the colons of an IPv6 address alone", () => {
    expect(signedUrls("http://[::1]:8080", "/w", "")[0]).toBe("http://[::1]:8080/w");
    expect(signedUrls("http://[::1]", "/w", "")).toEqual(["http://[::1]/w", "http://[::1]:80/w"]);
  });

  test("also come with the host in lower case, as clients may send it", () => {
    expect(signedUrls("https://A.Example", "/w", "")).toContain("https://a.example/w");
  });

  test("are none for what is no URL, so that nothing verifies", () => {
    expect(signedUrls("a.example", "/w", "")).toEqual([]);
  });
});

test("verifying takes far less than a millisecond", () => {
  const body =
    "ToCountry=US&ToState=CA&SmsMessageSid=SM1&NumMedia=0&ToCity=&FromZip=94105&SmsSid=SM1&FromState=CA&SmsStatus=received&FromCity=SAN+FRANCISCO&Body=Hello+%F0%9F%98%80&FromCountry=US&To=%2B15551234567&ToZip=&NumSegments=1&MessageSid=SM1&AccountSid=AC1&From=%2B15557654321&ApiVersion=2010-04-01";
  const url = "https://sms.example.com/webhooks/twilio/sms";
  const signature = sign(TOKEN, url, parseForm(body));
  const started = performance.now();
  for (let i = 0; i < 5_000; i++) {
    const urls = signedUrls("https://sms.example.com", "/webhooks/twilio/sms", "");
    expect(verify(signature, urls, { kind: "form", params: parseForm(body) }, [TOKEN])).toBe(true);
  }
  // Tens of thousands a second on an idle machine; the bound only catches a mistake of magnitude.
  expect(performance.now() - started).toBeLessThan(2_500);
});
