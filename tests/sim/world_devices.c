/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What there is before a run and after it: the two devices, what the anchor shares, and what of it arrived. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "profile/bundle_json.h"
#include "world_internal.h"

#define NAME_MAX_ 32

void world_must(enum sh_cause cause, const char *what)
{
    if (cause == SH_OK)
        return;
    fprintf(stderr, "world: %s: %s: %s\n", what, sh_cause_info(cause)->name, sh_detail());
    abort();
}

struct device *world_anchor(struct world *world)
{
    return &world->anchor;
}

struct device *world_secondary(struct world *world)
{
    return &world->secondary;
}

/* ---- Making ---- */

static void make_dirs(struct world *world)
{
    const char *base = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(world->dir, sizeof(world->dir), "%s/simhop-world-XXXXXX", base);
    if (!mkdtemp(world->dir))
        abort();
    snprintf(world->out, sizeof(world->out), "%s/out", world->dir);
    snprintf(world->incoming, sizeof(world->incoming), "%s/incoming", world->dir);
    snprintf(world->bundles, sizeof(world->bundles), "%s/bundles", world->dir);
}

static void open_item(struct world *world, size_t i)
{
    char name[NAME_MAX_];
    snprintf(name, sizeof(name), "item%zu", i);
    world_must(sh_item_open_memory(name, SIMHOP__ITEM_KIND__ITEM_KIND_FILE,
                                   SH_BYTES(world->bytes[i], world->sizes[i]),
                                   world->anchor.identity->id, &world->items[i]),
               "item");
}

static void make_items(struct world *world, const uint64_t *sizes, size_t count)
{
    uint64_t x = 88172645463325252ULL;
    for (size_t i = 0; i < count; i++) {
        world->bytes[i] = malloc(sizes[i] + 1);
        world->sizes[i] = sizes[i];
        for (uint64_t at = 0; at < sizes[i]; at++) {
            x ^= x << 13, x ^= x >> 7, x ^= x << 17;
            world->bytes[i][at] = (uint8_t)x;
        }
        open_item(world, i);
    }
    world->count = count;
}

void world_restart_anchor(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        sh_item_free(world->items[i]);
        open_item(world, i);
    }
}

static void make_draft(struct world *world)
{
    static char json[65536];
    FILE *file = fopen(TEST_DATA "/bundle.json", "r");
    if (!file)
        abort();
    size_t n = fread(json, 1, sizeof(json), file);
    fclose(file);
    Simhop__Bundle *bundle = NULL;
    uint8_t *bytes = NULL;
    size_t len = 0;
    world_must(sh_bundle_from_json(SH_BYTES(json, n), NULL, &bundle), "bundle");
    world_must(sh_bundle_seal(bundle, world->anchor.identity, &bytes, &len), "seal");
    world_must(sh_bundle_open(SH_BYTES(bytes, len), (struct sh_bytes){0}, &world->draft), "open");
    free(bytes);
    simhop__bundle__free_unpacked(bundle, NULL);
}

struct world *world_new(const uint64_t *sizes, size_t count, bool bundle)
{
    struct world *world = calloc(1, sizeof(*world));
    if (!world)
        abort();
    wire_init(&world->wire);
    make_dirs(world);
    world_must(sh_identity_new(WALL, &world->anchor.identity), "identity");
    world_must(sh_identity_new(WALL, &world->secondary.identity), "identity");
    strcpy(world->anchor.name, "phone");
    strcpy(world->secondary.name, "tablet");
    make_items(world, sizes, count);
    if (bundle)
        make_draft(world);
    world_reset(world);
    return world;
}

static void remove_tree(const char *path)
{
    DIR *dir = opendir(path);
    for (struct dirent *entry = dir ? readdir(dir) : NULL; entry; entry = readdir(dir)) {
        char inner[512];
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, entry->d_name);
        if (unlink(inner) != 0)
            remove_tree(inner);
    }
    if (dir)
        closedir(dir);
    rmdir(path);
}

void world_reset(struct world *world)
{
    sh_registry_close(world->anchor.registry);
    sh_registry_close(world->secondary.registry);
    world->anchor.registry = world->secondary.registry = NULL;
    world_must(sh_registry_open(NULL, &world->anchor.registry), "registry");
    world_must(sh_registry_open(NULL, &world->secondary.registry), "registry");
    remove_tree(world->out);
    remove_tree(world->incoming);
    remove_tree(world->bundles);
}

void world_free(struct world *world)
{
    sh_registry_close(world->anchor.registry);
    sh_registry_close(world->secondary.registry);
    for (size_t i = 0; i < world->count; i++) {
        sh_item_free(world->items[i]);
        free(world->bytes[i]);
    }
    sh_bundle_free(world->draft);
    sh_identity_free(world->anchor.identity);
    sh_identity_free(world->secondary.identity);
    remove_tree(world->dir);
    wire_free(&world->wire);
    free(world);
}

/* ---- Comparing ---- */

enum look { MISSING, SAME, DIFFERENT };

static enum look look_at(const struct world *world, size_t i)
{
    char path[160];
    struct stat st;
    snprintf(path, sizeof(path), "%s/item%zu", world->out, i);
    if (stat(path, &st) != 0)
        return MISSING;
    if ((uint64_t)st.st_size != world->sizes[i])
        return DIFFERENT;
    uint8_t *bytes = malloc(world->sizes[i] + 1);
    FILE *file = fopen(path, "r");
    size_t n = file ? fread(bytes, 1, world->sizes[i] + 1, file) : 0;
    bool same = n == world->sizes[i] && memcmp(bytes, world->bytes[i], n) == 0;
    if (file)
        fclose(file);
    free(bytes);
    return same ? SAME : DIFFERENT;
}

bool world_files_equal(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        if (look_at(world, i) != SAME)
            return false;
    }
    return true;
}

bool world_half_files(struct world *world)
{
    for (size_t i = 0; i < world->count; i++) {
        if (look_at(world, i) == DIFFERENT)
            return true;
    }
    return false;
}
