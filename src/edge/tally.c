#include "edge/tally.h"

#include <endian.h>
#include <openssl/sha.h>

#define ENTRIES_MAX (1u << 24)

struct entry {
	uint32_t generation; /* the slab's */
	uint32_t count;
	struct map_node in_table;
	struct tally_key key;
};

static_assert(sizeof(struct entry) <= 40, "what a key costs");

int tally_init(struct tally *tally)
{
	int error = slab_init(&tally->entries, sizeof(struct entry), ENTRIES_MAX);
	CHECK(error == 0); /* the size is good */
	return map_init(&tally->table);
}

void tally_free(struct tally *tally)
{
	for (uint32_t i = 0; i < slab_span(&tally->entries); i++) {
		struct entry *entry = slab_by_index(&tally->entries, i);
		if (entry == NULL)
			continue;
		map_remove(&tally->table, &entry->in_table);
		slab_release(&tally->entries, entry);
	}
	slab_free(&tally->entries);
	map_free(&tally->table);
}

struct tally_key tally_key_of(const struct hash_key *hash_key, struct slice name)
{
	struct hash_key other = {{~hash_key->word[0], hash_key->word[1]}};
	return (struct tally_key){{hash_bytes(hash_key, name), hash_bytes(&other, name)}};
}

/* Nobody can find a name that has another one's, though anybody can compute it. */
bool tally_key_for_all(struct slice name, struct tally_key *key)
{
	unsigned char digest[SHA256_DIGEST_LENGTH];
	if (SHA256((const unsigned char *)name.at, name.len, digest) == NULL)
		return false;
	memcpy(key, digest, sizeof(*key));
	key->word[0] = le64toh(key->word[0]);
	key->word[1] = le64toh(key->word[1]);
	return true;
}

static struct entry *find(const struct tally *tally, const struct tally_key *key)
{
	struct map_node *node = map_first(&tally->table, key->word[0]);
	for (; node != NULL; node = map_next(node)) {
		struct entry *entry = CONTAINER_OF(node, struct entry, in_table);
		if (entry->key.word[1] == key->word[1])
			return entry;
	}
	return NULL;
}

enum tally_answer tally_take(struct tally *tally, const struct tally_key *key, uint32_t max,
                             struct slab_handle *place)
{
	struct entry *entry = find(tally, key);
	if ((entry == NULL ? 0 : entry->count) >= max)
		return TALLY_FULL;
	if (entry == NULL) {
		entry = slab_take(&tally->entries);
		if (entry == NULL)
			return TALLY_NO_MEMORY;
		entry->key = *key;
		map_insert(&tally->table, &entry->in_table, key->word[0]);
	}
	entry->count++;
	*place = slab_handle_of(&tally->entries, entry);
	return TALLY_TAKEN;
}

void tally_give(struct tally *tally, struct slab_handle place)
{
	struct entry *entry = slab_at(&tally->entries, place);
	CHECK(entry != NULL); /* it lives as long as the place is held */
	CHECK(entry->count > 0);
	if (--entry->count > 0)
		return;
	map_remove(&tally->table, &entry->in_table);
	slab_release(&tally->entries, entry);
}

uint32_t tally_count(const struct tally *tally, const struct tally_key *key)
{
	const struct entry *entry = find(tally, key);
	return entry == NULL ? 0 : entry->count;
}
