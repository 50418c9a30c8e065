#include "http/response.h"

#include "base/check.h"
#include "http/syntax.h"

#define SECONDS_A_DAY 86400
#define YEAR_10000 253402300800u /* in seconds since 1970 */

const char *http_reason(int status)
{
	switch (status) {
#define STATUS(code, reason)                                                                       \
	case code:                                                                                 \
		return reason;
#include "http/status.def"
#undef STATUS
	default:
		return NULL;
	}
}

static void status_line(struct buf *buf, int status)
{
	const char *reason = http_reason(status);
	CHECK(reason != NULL);
	buf_string(buf, "HTTP/1.1 ");
	buf_u64(buf, (uint64_t)status);
	buf_char(buf, ' ');
	buf_string(buf, reason);
	buf_string(buf, "\r\n");
}

static void length_line(struct buf *buf, int64_t body_len)
{
	CHECK(body_len >= 0);
	buf_string(buf, "Content-Length: ");
	buf_u64(buf, (uint64_t)body_len);
	buf_string(buf, "\r\n");
}

static void header_line(struct buf *buf, const char *name, struct slice value)
{
	CHECK(http_response_header(buf, name, value)); /* the value is ours */
}

void http_response_head(struct buf *buf, const struct http_response *response)
{
	bool is_interim = response->status < 200;
	bool has_body = !is_interim && response->status != 204 && response->status != 304;
	CHECK(has_body || response->body_len == 0);
	CHECK(response->body_len >= HTTP_UNSAID);
	CHECK(response->body_len != HTTP_UNTIL_CLOSE || !response->is_keep_alive);

	status_line(buf, response->status);
	if (response->date.len > 0)
		header_line(buf, "Date", response->date);
	if (response->content_type.len > 0)
		header_line(buf, "Content-Type", response->content_type);
	if (has_body && response->body_len >= 0)
		length_line(buf, response->body_len);
	if (!is_interim && !response->is_keep_alive)
		header_line(buf, "Connection", SLICE("close"));
}

static bool is_token(const char *name)
{
	size_t len = 0;
	while (http_is_token(name[len]))
		len++;
	return len > 0 && name[len] == '\0';
}

bool http_response_header(struct buf *buf, const char *name, struct slice value)
{
	CHECK(is_token(name));
	for (size_t i = 0; i < value.len; i++) {
		if (!http_is_value(value.at[i]))
			return false;
	}
	buf_string(buf, name);
	buf_string(buf, ": ");
	buf_slice(buf, value);
	buf_string(buf, "\r\n");
	return true;
}

void http_response_end(struct buf *buf)
{
	buf_string(buf, "\r\n");
}

static unsigned days_in_year(unsigned year)
{
	bool is_leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
	return is_leap ? 366 : 365;
}

static unsigned days_in_month(unsigned month, unsigned year)
{
	static const unsigned char days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool is_leap_february = month == 1 && days_in_year(year) == 366;
	return is_leap_february ? 29 : days[month];
}

void http_date(char out[HTTP_DATE_SIZE], uint64_t unix_seconds)
{
	static const char weekdays[7][4] = {"Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"};
	static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
	                                   "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
	CHECK(unix_seconds < YEAR_10000);
	unsigned second = (unsigned)(unix_seconds % SECONDS_A_DAY);
	unsigned day = (unsigned)(unix_seconds / SECONDS_A_DAY);
	const char *weekday = weekdays[day % 7]; /* the first day of 1970 was a Thursday */
	unsigned year = 1970, month = 0;
	for (; day >= days_in_year(year); year++)
		day -= days_in_year(year);
	for (; day >= days_in_month(month, year); month++)
		day -= days_in_month(month, year);
	CHECK(month < 12);
	int len = snprintf(out, HTTP_DATE_SIZE, "%s, %02u %s %04u %02u:%02u:%02u GMT", weekday,
	                   day + 1, months[month], year, second / 3600, second / 60 % 60,
	                   second % 60);
	CHECK(len == HTTP_DATE_SIZE - 1);
}
