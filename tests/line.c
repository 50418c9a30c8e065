/* Linked into each test program: its lines reach the log at once, so the last one names the case
 * that was running when the program died. */
#include <stdio.h>

__attribute__((constructor)) static void line_by_line(void)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
}
