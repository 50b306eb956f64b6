/**
 * An MCP server on stdio, made with the official SDK of the protocol's earlier revisions; with `--newest` with
 * that of the newest, refusing the earlier ones. Run by tests:
 * `bun mcp-program.ts [--newest | --exit-at-start | --ignore-term | --odd-names]`.
 */
import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import { StdioServerTransport } from "@modelcontextprotocol/sdk/server/stdio.js";
import { z } from "zod";

const text = (words: string) => ({ content: [{ type: "text" as const, text: words }] });

if (process.argv.includes("--exit-at-start")) {
  process.stderr.write("no API key in TOKEN=super-secret-token for +15551234567\n");
  process.exit(3);
}
if (process.argv.includes("--newest")) {
  const { McpServer: NewestServer } = await import("@modelcontextprotocol/server");
  const { serveStdio } = await import("@modelcontextprotocol/server/stdio");
  const serve = () => {
    const newest = new NewestServer({ name: "newest", version: "1.0.0" }, { capabilities: { tools: {} } });
    newest.registerTool("pid", { description: "Its process id." }, () => text(String(process.pid)));
    return newest;
  };
  serveStdio(serve, { legacy: "reject" });
}
if (process.argv.includes("--ignore-term")) {
  process.on("SIGTERM", () => {});
  setInterval(() => {}, 60_000);
}

const server = new McpServer({ name: "program", version: "1.0.0" });
server.registerTool(
  "echo",
  { description: "Says it back.", inputSchema: { words: z.string() } },
  ({ words }) => text(words),
);
server.registerTool("env", { description: "Its environment." }, () => text(JSON.stringify(process.env)));
server.registerTool("pid", { description: "Its process id." }, () => text(String(process.pid)));
server.registerTool("child", { description: "Starts a process and gives its id." }, () =>
  text(String(Bun.spawn(["sleep", "300"], { stdio: ["ignore", "inherit", "inherit"] }).pid)),
);
server.registerTool("die", { description: "Ends in the middle of the call." }, () => {
  process.stderr.write("out of memory\n");
  process.exit(9);
});
server.registerTool(
  "blab",
  { description: "Tells all and ends.", inputSchema: { words: z.string() } },
  (input) => {
    process.stderr.write(`got ${JSON.stringify(input)}\n`);
    process.exit(1);
  },
);
server.registerTool("hang", { description: "Never answers." }, () => new Promise<never>(() => {}));
server.registerTool("fail", { description: "Fails." }, () => ({
  ...text("The door is jammed."),
  isError: true,
}));
server.registerTool("big", { description: "Says a lot." }, () => text("x".repeat(100_000)));
server.registerTool("flood", { description: "Says more than anybody can read." }, () =>
  text("x".repeat(9_000_000)),
);
server.registerTool("shout", { description: "Writes to stderr." }, () => {
  process.stderr.write(`${"noise ".repeat(100_000)}\n`);
  for (let i = 0; i < 500; i++) process.stderr.write(`line ${i}\n`);
  return text("done");
});
server.registerTool("mixed", { description: "Answers with more than text." }, () => ({
  content: [
    { type: "text", text: "Two things:" },
    { type: "image", mimeType: "image/png", data: "AAAA".repeat(1_000) },
    { type: "resource_link", name: "Plan", uri: "file:///plan.txt" },
    { type: "resource", resource: { uri: "file:///a.txt", text: "inside" } },
  ],
}));
server.registerTool("grow", { description: "Gets another tool." }, () => {
  server.registerTool("grown", { description: "New." }, () => text("grown"));
  return text("look again");
});
if (process.argv.includes("--odd-names")) {
  server.registerTool("weird name", { description: "Has a name no log can hold." }, () => text("no"));
  server.registerTool("a.dotted/name", { description: "Has a name no provider takes." }, () =>
    text("dotted"),
  );
}

if (!process.argv.includes("--newest")) await server.connect(new StdioServerTransport());
