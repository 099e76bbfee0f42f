// The documentation of the API: Swagger UI, which is loaded before this.

const dark = matchMedia("(prefers-color-scheme: dark)");
const match = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", match);
match();

SwaggerUIBundle({ url: "openapi.json", dom_id: "#swagger-ui", deepLinking: true });
