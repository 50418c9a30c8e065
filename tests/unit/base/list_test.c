/* A list beside an array of what must be in it, and in which order. */
#include "base/list.h"
#include "base/random.h"

#define ITEMS 20
#define STEPS 100000

struct item {
	struct list_node node;
	int number;
};

static struct item items[ITEMS];
static struct list list;
static int expected[ITEMS];
static int count;

static struct item *item_of(struct list_node *node)
{
	return CONTAINER_OF(node, struct item, node);
}

/* Forward and backward the list is what the array says; nobody else is linked. */
static void list_check(void)
{
	struct list_node *node = list_first(&list), *before = &list.ends;
	CHECK(list_is_empty(&list) == (count == 0));
	for (int i = 0; i < count; i++) {
		CHECK(node != NULL);
		CHECK(item_of(node)->number == expected[i]);
		CHECK(node->prev == before);
		CHECK(before->next == node);
		before = node;
		node = list_after(&list, node);
	}
	CHECK(node == NULL);
	CHECK(list.ends.prev == before);

	int linked = 0;
	for (int i = 0; i < ITEMS; i++) {
		linked += list_is_linked(&items[i].node);
		CHECK(list_is_linked(&items[i].node) == (items[i].node.prev != NULL));
	}
	CHECK(linked == count);
}

static int place_of(int number)
{
	int place = 0;
	while (expected[place] != number)
		place++;
	return place;
}

static void expect_at(int place, int number)
{
	for (int i = count++; i > place; i--)
		expected[i] = expected[i - 1];
	expected[place] = number;
}

static void expect_without(int place)
{
	count--;
	for (int i = place; i < count; i++)
		expected[i] = expected[i + 1];
}

static void step(struct random *random)
{
	int number = (int)random_below(random, ITEMS);
	struct list_node *node = &items[number].node;
	if (list_is_linked(node)) {
		list_remove(node);
		expect_without(place_of(number));
	} else if (count == 0 || random_below(random, 2) == 0) {
		list_append(&list, node);
		expect_at(count, number);
	} else {
		int place = (int)random_below(random, (uint32_t)count);
		list_insert_before(&items[expected[place]].node, node);
		expect_at(place, number);
	}
	list_check();
}

static void begin(void)
{
	list_init(&list);
	count = 0;
	for (int i = 0; i < ITEMS; i++)
		items[i] = (struct item){.number = i};
	list_check();
}

static void append_three(void)
{
	for (int i = 0; i < 3; i++) {
		list_append(&list, &items[i].node);
		expect_at(count, i);
	}
	list_check();
}

static void remove_one(int number)
{
	list_remove(&items[number].node);
	expect_without(place_of(number));
	CHECK(items[number].node.next == NULL);
	list_check();
}

static void remove_each(void)
{
	append_three();
	remove_one(1);
	remove_one(2);
	remove_one(0);
}

static void come_again(void)
{
	append_three();
	remove_one(0);
	list_append(&list, &items[0].node);
	expect_at(2, 0);
	list_check();
}

static void insert_between(void)
{
	append_three();
	list_insert_before(&items[0].node, &items[3].node);
	expect_at(0, 3);
	list_insert_before(&items[2].node, &items[4].node);
	expect_at(3, 4);
	list_check();
}

static void any_steps(void)
{
	struct random random = {.state = 1};
	for (int i = 0; i < STEPS; i++)
		step(&random);
}

static const struct {
	const char *name;
	void (*run)(void);
} cases[] = {
	{"first in is first", append_three},
	{"middle, end and beginning can go", remove_each},
	{"who went may come again", come_again},
	{"one may stand before any other", insert_between},
	{"any mix of calls leaves what an array would hold", any_steps},
};

int main(void)
{
	for (size_t i = 0; i < COUNT_OF(cases); i++) {
		printf("list: %s\n", cases[i].name);
		begin();
		cases[i].run();
	}
	return 0;
}
