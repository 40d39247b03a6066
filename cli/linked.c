/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cli/linked.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum sh_cause sh_linked_load(struct sh_registry *registry, int64_t now,
                             struct sh_linked *ret_linked)
{
    struct sh_linked linked = {0};
    size_t count = 0;
    SH_TRY(sh_registry_list_devices(registry, now, &linked.devices, &count));
    for (size_t i = 0; i < count; i++) {
        const struct sh_device *device = &linked.devices[i];
        if (device->relation == SH_DEVICE_IS_ANCHOR && device->state == SH_DEVICE_AUTHORISED)
            linked.devices[linked.count++] = *device;
    }
    *ret_linked = linked;
    return SH_OK;
}

void sh_linked_clear(struct sh_linked *linked)
{
    free(linked->devices);
    *linked = (struct sh_linked){0};
}

void sh_linked_only(struct sh_linked *linked, const uint8_t id[SH_DEVICE_ID_SIZE])
{
    size_t kept = 0;
    for (size_t i = 0; i < linked->count; i++) {
        if (memcmp(linked->devices[i].id, id, SH_DEVICE_ID_SIZE) == 0)
            linked->devices[kept++] = linked->devices[i];
    }
    linked->count = kept;
}

const struct sh_device *sh_linked_resolve(const struct sh_device *devices, size_t count,
                                          const uint8_t id[SH_ROTATING_ID_SIZE])
{
    for (size_t i = 0; i < count; i++) {
        if (sh_rotating_id_is_of(devices[i].resolving_key, id))
            return &devices[i];
    }
    return NULL;
}

enum sh_cause sh_linked_check(const struct sh_linked *linked, const char *name)
{
    for (size_t i = 0; name && i < linked->count; i++) {
        if (strcmp(linked->devices[i].name, name) == 0)
            return SH_OK;
    }
    return name ? sh_fail(SH_LINKED_UNKNOWN, "--anchor %s: no linked device has this name", name)
                : SH_OK;
}

double sh_linked_level(struct sh_registry *registry, const struct sh_edge *edge,
                       const struct sh_device *linked)
{
    struct sh_known_level level;
    char adapter[SH_ADAPTER_MAX + 1];
    if (!sh_edge_adapter(edge, adapter) ||
        sh_registry_get_level(registry, linked->id, adapter, &level) != SH_OK)
        return (double)NAN;
    return level.dbm;
}
