/* The files of the demo page and the browser client, as part of the binary. */
	.section .rodata

	.macro static_file symbol, path
	.global static_\symbol, static_\symbol\()_end
	.balign 16
static_\symbol:
	.incbin "\path"
static_\symbol\()_end:
	.byte 0
	.endm

	static_file common_css, "src/edge/static/common.css"
	static_file index_html, "src/edge/static/index.html"
	static_file demo_js, "src/edge/static/demo.js"
	static_file demo_css, "src/edge/static/demo.css"
	static_file console_html, "src/edge/static/console.html"
	static_file console_js, "src/edge/static/console.js"
	static_file console_css, "src/edge/static/console.css"
	static_file patterns_html, "src/edge/static/patterns.html"
	static_file patterns_js, "src/edge/static/patterns.js"
	static_file patterns_css, "src/edge/static/patterns.css"
	static_file starling_js, "src/edge/static/starling.js"

	.section .note.GNU-stack, "", @progbits
