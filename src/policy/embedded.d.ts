// Files that the bundler embeds by `with { type: "text" }`.
declare module "*.cedar" {
  const text: string;
  export default text;
}
declare module "*.cedarschema" {
  const text: string;
  export default text;
}
