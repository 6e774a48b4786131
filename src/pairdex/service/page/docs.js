// Renders /openapi.json for people.

const routes = document.getElementById("routes");

function element(tag, text = "", ...children) {
  const made = document.createElement(tag);
  made.textContent = text;
  made.append(...children);
  return made;
}

function resolve(description, schema) {
  const name = schema?.$ref?.split("/").at(-1);
  return name ? description.components.schemas[name] : schema;
}

/** "integer, 1 to 1000, by default 10" */
function typeOf(description, schema) {
  const kinds = (schema.anyOf ?? [schema]).filter(({ type }) => type !== "null");
  const [kind] = kinds;
  const words = [kind.enum ? kind.enum.join(" or ") : kind.const ?? nameOf(kind)];
  if (kind.minimum !== undefined && kind.maximum !== undefined && kind.maximum < 1e9) words.push(`${kind.minimum} to ${kind.maximum}`);
  if (schema.default !== undefined && schema.default !== null) words.push(`by default ${schema.default}`);
  return words.join(", ");
}

function nameOf(kind) {
  if (kind.$ref) return kind.$ref.split("/").at(-1);
  return kind.type === "array" ? `list of ${nameOf(kind.items)}` : kind.type ?? "any";
}

function table(description, title, entries) {
  if (!entries.length) return [];
  const list = element("dl");
  for (const { name, schema, text, isRequired } of entries) {
    const type = element("small", `${typeOf(description, schema)}${isRequired ? ", required" : ""}`);
    const detail = element("dd", text ? `${text} ` : "");
    detail.append(type);
    list.append(element("dt", name), detail);
  }
  return [element("h3", title), list];
}

function parametersOf(operation) {
  return (operation.parameters ?? []).map(({ name, schema, description, required }) => ({ name, schema, text: description, isRequired: required }));
}

function fieldsOf(schema) {
  return Object.entries(schema?.properties ?? {}).map(([name, field]) => ({
    name, schema: field, text: field.description, isRequired: schema.required?.includes(name),
  }));
}

function article(description, method, path, operation) {
  const json = (content) => resolve(description, content?.["application/json"]?.schema);
  const heading = element("h2");
  heading.append(element("span", method.toUpperCase()), path);
  return element("article", "",
    heading,
    element("p", operation.summary),
    ...table(description, "Query and path parameters", parametersOf(operation)),
    ...table(description, "Request body", fieldsOf(json(operation.requestBody?.content))),
    ...table(description, "Response body", fieldsOf(json(operation.responses["200"]?.content))),
  );
}

async function show() {
  const description = await (await fetch("openapi.json")).json();
  const made = [];
  for (const [path, methods] of Object.entries(description.paths)) {
    for (const [method, operation] of Object.entries(methods)) made.push(article(description, method, path, operation));
  }
  routes.replaceChildren(...made);
}

show().catch(() => { routes.textContent = "The service does not respond; is it still running?"; });
