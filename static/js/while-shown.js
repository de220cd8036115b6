// What a page asks for again and again ([data-while-shown]) is not asked for while nobody can see it: asking is looking.
document.body.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.hasAttribute("data-while-shown")) event.preventDefault();
});
