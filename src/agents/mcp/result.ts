import type { CallToolResult } from "@modelcontextprotocol/client";
import { describeMedia } from "../attachments.ts";
import { sizeOf } from "../tool-result.ts";

/**
 * A tool's result in words. What is no text is named; structured content is given where there is nothing else,
 * since servers repeat it as text.
 */
export function resultText({ content, structuredContent }: CallToolResult): string {
  const text = content
    .map(blockText)
    .filter((part) => part !== "")
    .join("\n");
  return text === "" && structuredContent !== undefined ? JSON.stringify(structuredContent) : text;
}

function blockText(block: CallToolResult["content"][number]): string {
  switch (block.type) {
    case "text":
      return block.text;
    case "image":
    case "audio":
      return `[${typeOf(block.mimeType)}, ${sizeOf(Math.floor((block.data.length * 3) / 4))}, not shown]`;
    case "resource_link":
      return `${block.title ?? block.name}: ${block.uri}`;
    case "resource":
      return "text" in block.resource
        ? block.resource.text
        : `[${typeOf(block.resource.mimeType ?? "")} at ${block.resource.uri}, not shown]`;
  }
}

function typeOf(contentType: string): string {
  return describeMedia([{ url: "", contentType }]);
}
