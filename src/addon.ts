/**
 * The SQLite addon embedded in the binary: its path, and the SHA-256 it had when it was embedded, in hex. The build
 * replaces this module with one that embeds the addon of its target; run from source, the package finds its own.
 */
export const addon: { readonly path: string; readonly sha256: string } | undefined = undefined;
