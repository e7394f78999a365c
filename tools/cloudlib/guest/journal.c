/* The log of writes. Texts are kept once in one arena and named by their
 * offset, so that a million entries fit into a small guest. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "guest.h"

enum { ARENA = 256 << 20 };

/* Address space is reserved once; the kernel supplies each page on first use. */
static char *arena;
static uint32_t arena_used = 1;
static struct entry *entries;
static uint32_t last;

/* Text -> offset and a number, open addressing, doubled when half full. */
struct table {
    struct slot { uint32_t text, value; } *slots;
    uint32_t room, used;
};
static struct table items, clients, keys;

static void *reserve(size_t size)
{
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED)
        abort();
    return p;
}

static uint32_t keep(const char *text)
{
    size_t size = strlen(text) + 1;
    if (arena_used + size > ARENA)
        return 0;
    memcpy(arena + arena_used, text, size);
    arena_used += (uint32_t)size;
    return arena_used - (uint32_t)size;
}

static uint32_t hash(const char *text)
{
    uint32_t h = 2166136261u;
    for (; *text; text++)
        h = (h ^ (unsigned char)*text) * 16777619u;
    return h;
}

static struct slot *find(const struct table *t, const char *text)
{
    uint32_t i = hash(text) & (t->room - 1);
    while (t->slots[i].text && strcmp(arena + t->slots[i].text, text))
        i = (i + 1) & (t->room - 1);
    return &t->slots[i];
}

static void grow(struct table *t)
{
    struct table bigger = {.room = t->room ? t->room * 2 : 1024, .used = t->used};
    bigger.slots = calloc(bigger.room, sizeof *bigger.slots);
    if (!bigger.slots)
        abort();
    for (uint32_t i = 0; i < t->room; i++)
        if (t->slots[i].text)
            *find(&bigger, arena + t->slots[i].text) = t->slots[i];
    free(t->slots);
    *t = bigger;
}

/* The slot of TEXT, made if need be; NULL when memory is used up. */
static struct slot *intern(struct table *t, const char *text)
{
    if (t->used * 2 >= t->room)
        grow(t);
    struct slot *slot = find(t, text);
    if (!slot->text) {
        slot->text = keep(text);
        if (!slot->text)
            return NULL;
        t->used++;
    }
    return slot;
}

static uint32_t look_up(const struct table *t, const char *text)
{
    return t->room ? find(t, text)->value : 0;
}

uint32_t log_append(const struct request *r)
{
    if (!arena) {
        arena = reserve(ARENA);
        entries = reserve((size_t)LOG_LIMIT * sizeof *entries);
    }
    if (last >= LOG_LIMIT)
        return 0;
    struct slot *path = intern(&items, r->path), *client = NULL, *key = NULL;
    uint32_t id = r->id[0] ? keep(r->id) : 0;
    if (r->client[0])
        client = intern(&clients, r->client);
    if (r->key[0])
        key = intern(&keys, r->key);
    if (!path || (r->id[0] && !id) || (r->client[0] && !client) || (r->key[0] && !key))
        return 0;
    struct entry *e = &entries[last++];
    *e = (struct entry){.path = path->text, .client = client ? client->text : 0,
                        .id = id, .key = key ? key->text : 0,
                        .method = (uint8_t)r->method, .has_body = (uint8_t)r->has_body};
    memcpy(e->digest, r->digest, sizeof e->digest);
    path->value = last;
    if (key && !key->value)
        key->value = last;
    return last;
}

uint32_t log_last(void) { return last; }
const struct entry *log_entry(uint32_t seq) { return &entries[seq - 1]; }
const char *log_text(uint32_t offset) { return offset ? arena + offset : "-"; }
uint32_t item_last(const char *path) { return look_up(&items, path); }
uint32_t key_seen(const char *key) { return look_up(&keys, key); }
