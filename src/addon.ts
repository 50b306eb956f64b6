/**
 * Path of the SQLite addon embedded in the binary. The build replaces this module with one that embeds the
 * addon of its target; run from source, the package finds its own.
 */
export const addon: string | undefined = undefined;
