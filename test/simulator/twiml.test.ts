import { describe, expect, test } from "bun:test";
import fc from "fast-check";
import twilio from "twilio";
import { parseTwiml } from "../../src/simulator/twiml.ts";

describe("TwiML", () => {
  test("an empty answer and an empty <Response/> say nothing", () => {
    expect(parseTwiml("")).toEqual({ kind: "ok", messages: [], ignored: [] });
    expect(parseTwiml('<?xml version="1.0" encoding="UTF-8"?><Response/>')).toEqual({
      kind: "ok",
      messages: [],
      ignored: [],
    });
  });

  test("messages come in both forms, with media, recipients and callbacks", () => {
    const answer = parseTwiml(`<Response>
      <!-- a comment -->
      <Message>Hello &amp; <![CDATA[<welcome>]]> &#x1F600;</Message>
      <Message to="+15551112222" from='+15553334444' statusCallback="/status"><Body>Hi</Body><Media>http://x/1.png</Media></Message>
    </Response>`);
    expect(answer).toEqual({
      kind: "ok",
      ignored: [],
      messages: [
        { body: "Hello & <welcome> 😀", mediaUrls: [] },
        {
          body: "Hi",
          mediaUrls: ["http://x/1.png"],
          to: "+15551112222",
          from: "+15553334444",
          statusCallback: "/status",
        },
      ],
    });
  });

  test("a redirect ends the document, and unknown verbs are named", () => {
    const answer = parseTwiml(
      '<Response><Say>no</Say><Redirect method="get">/next</Redirect><Message>never</Message></Response>',
    );
    expect(answer).toEqual({
      kind: "ok",
      messages: [],
      ignored: ["Say"],
      redirect: { url: "/next", method: "GET" },
    });
  });

  test.each([
    ["<Response><Message>hi</Response>", "</Response> closes nothing that is open"],
    ["<Response>", "<Response> is not closed"],
    ["<Response/><Response/>", "a second root element"],
    ["hello", "text outside the root element"],
    ["<Response>a & b</Response>", "& is not a character reference"],
    ["<Response>&nope;</Response>", "&nope; is not a character reference"],
    ["<Response><</Response>", "expected a tag or text"],
    ['{"ok":true}', "text outside the root element"],
  ])("%s is no XML (12100)", (xml, reason) => {
    expect(parseTwiml(xml)).toMatchObject({
      kind: "invalid",
      code: 12_100,
      reason: expect.stringContaining(reason),
    });
  });

  test("mistakes are located", () => {
    expect(parseTwiml("<Response>\n  <Message>\n</Response>")).toMatchObject({
      reason: expect.stringMatching(/^line 3, column 1: /),
    });
  });

  test("another root element is 12200", () => {
    expect(parseTwiml("<html><body>404</body></html>")).toMatchObject({ kind: "invalid", code: 12_200 });
  });

  test("what Twilio's SDK writes is read back, whatever the text", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme", minLength: 1, maxLength: 60 }), (text) => {
        // Control characters cannot be written in XML, and blanks at the ends are not kept.
        fc.pre(!/[\p{Cc}\ufffe\uffff]/u.test(text) && text.trim() === text);
        const xml = new twilio.twiml.MessagingResponse();
        xml.message(text);
        expect(parseTwiml(xml.toString())).toMatchObject({ kind: "ok", messages: [{ body: text }] });
      }),
      { numRuns: 200 },
    );
  });

  test("no input makes the reader throw", () => {
    const piece = fc.constantFrom(
      "<",
      ">",
      "</",
      "/>",
      "Response",
      "Message",
      "&amp;",
      "&",
      '"',
      "=",
      " ",
      "<!--",
      "-->",
      "<![CDATA[",
      "]]>",
      "a",
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), (pieces) => {
        expect(["ok", "invalid"]).toContain(parseTwiml(pieces.join("")).kind);
      }),
      { numRuns: 500 },
    );
  });
});
