/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/arrived.h"

#include <stdlib.h>
#include <string.h>

#include "cli/files.h"

enum sh_cause sh_arrived_copy(struct sh_arrived *arrived, const struct sh_session_summary *summary)
{
    struct sh_session_item *items = calloc(summary->item_count + 1, sizeof(*items));
    if (!items)
        return SH_ENV_NO_MEMORY;
    arrived->summary = *summary;
    arrived->summary.items = items;
    bool whole = true;
    for (size_t i = 0; i < summary->item_count; i++) {
        items[i] = summary->items[i];
        items[i].name = strdup(summary->items[i].name);
        items[i].path = strdup(summary->items[i].path ? summary->items[i].path : "");
        whole = whole && items[i].name && items[i].path;
    }
    return whole ? SH_OK : SH_ENV_NO_MEMORY;
}

void sh_arrived_clear(struct sh_arrived *arrived)
{
    for (size_t i = 0; i < arrived->summary.item_count; i++) {
        free((void *)(uintptr_t)arrived->summary.items[i].name);
        free((void *)(uintptr_t)arrived->summary.items[i].path);
    }
    free((void *)(uintptr_t)arrived->summary.items);
    *arrived = (struct sh_arrived){0};
}

static void installed(const char *installer, const char *what, void *user)
{
    sh_output_note(user, "%s: %s", installer, what);
}

/* The signature was checked when it arrived; it is opened again because only its file was kept. */
static enum sh_cause open_bundle(const char *path, struct sh_bundle **ret_bundle)
{
    SH_CLEANUP(sh_content_clear) struct sh_content content = {0};
    SH_TRY(sh_read_bundle_file(path, &content));
    return sh_bundle_open(SH_BYTES(content.p, content.n), (struct sh_bytes){0}, ret_bundle);
}

static enum sh_cause install_one(const struct sh_installer *installer,
                                 const struct sh_session_item *item,
                                 const struct sh_install_config *config, struct sh_output *out)
{
    SH_CLEANUP(sh_bundle_freep) struct sh_bundle *bundle = NULL;
    if (item->kind != SIMHOP__ITEM_KIND__ITEM_KIND_BUNDLE)
        return installer->item ? installer->item(config, item->name, item->path, installed, out)
                               : SH_OK;
    if (!installer->bundle)
        return SH_OK;
    SH_TRY(open_bundle(item->path, &bundle));
    return installer->bundle(config, bundle->bundle, item->path, installed, out);
}

enum sh_cause sh_arrived_install(const struct sh_arrived *arrived,
                                 const struct sh_install_config *config, struct sh_output *out)
{
    for (size_t i = 0; i < arrived->summary.item_count; i++) {
        for (const struct sh_installer *const *at = sh_installers; *at; at++) {
            if ((*at)->applies(config))
                SH_TRY(install_one(*at, &arrived->summary.items[i], config, out));
        }
    }
    return SH_OK;
}
