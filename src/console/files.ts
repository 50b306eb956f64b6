import { built } from "./built.ts";
import { type Bundle, bundlePage } from "./bundle.ts";

/** One file of the page, as it is served. */
interface ConsoleFile {
  readonly path: string;
  readonly contentType: string;
  readonly body: string;
}

let bundled: Promise<Bundle> | undefined;

/** The page's files, with the paths they have on the admin listener. */
export async function consoleFiles(): Promise<readonly ConsoleFile[]> {
  bundled ??= built === undefined ? bundlePage() : Promise.resolve(built);
  const { script, style, icon } = await bundled;
  return [
    { path: "/", contentType: "text/html; charset=utf-8", body: PAGE },
    { path: "/console.js", contentType: "text/javascript; charset=utf-8", body: script },
    { path: "/console.css", contentType: "text/css; charset=utf-8", body: style },
    { path: "/icon.svg", contentType: "image/svg+xml", body: icon },
  ];
}

const PAGE = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1, viewport-fit=cover">
<meta name="color-scheme" content="light dark">
<meta name="robots" content="noindex">
<title>sms-agent</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/console.css">
</head>
<body>
<div id="console"></div>
<noscript>The console needs JavaScript. Everything it does, the command line does too: sms-agent --help.</noscript>
<script type="module" src="/console.js"></script>
</body>
</html>
`;
