/*
 * list.h - doubly linked, intrusive: the links lie inside the objects.
 *
 * Threads:   one at a time; no locking.
 * Ownership: a list owns nothing. An object leaves its list before its memory goes.
 * Limits:    none. A node that is in no list is all zero, so "is it linked" is one look,
 *            and adding a linked node is caught.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/check.h"

struct list_node {
	struct list_node *next, *prev;
};

struct list {
	struct list_node ends; /* next: first, prev: last; itself when empty */
};

static inline void list_init(struct list *list)
{
	list->ends.next = list->ends.prev = &list->ends;
}

static inline bool list_is_empty(const struct list *list)
{
	return list->ends.next == &list->ends;
}

static inline bool list_is_linked(const struct list_node *node)
{
	return node->next != NULL;
}

static inline void list_insert_before(struct list_node *where, struct list_node *node)
{
	CHECK(!list_is_linked(node));
	node->next = where;
	node->prev = where->prev;
	where->prev->next = node;
	where->prev = node;
}

static inline void list_append(struct list *list, struct list_node *node)
{
	list_insert_before(&list->ends, node);
}

static inline void list_remove(struct list_node *node)
{
	CHECK(list_is_linked(node));
	node->prev->next = node->next;
	node->next->prev = node->prev;
	node->next = node->prev = NULL;
}

/* All of `from`, in their order, behind those of `to`. */
static inline void list_move_all(struct list *to, struct list *from)
{
	if (list_is_empty(from))
		return;
	from->ends.next->prev = to->ends.prev;
	from->ends.prev->next = &to->ends;
	to->ends.prev->next = from->ends.next;
	to->ends.prev = from->ends.prev;
	list_init(from);
}

static inline struct list_node *list_first(const struct list *list) /* NULL: empty */
{
	return list_is_empty(list) ? NULL : list->ends.next;
}

static inline struct list_node *list_after(const struct list *list, const struct list_node *node)
{
	return node->next == &list->ends ? NULL : node->next;
}
