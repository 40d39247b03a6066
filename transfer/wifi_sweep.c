/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <dirent.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "proto/log.h"
#include "proto/slow.h"
#include "transfer/netif.h"
#include "transfer/wifi_internal.h"
#include "transfer/wifi_mark.h"
#include "transfer/wifi_nl.h"
#include "transfer/wpa_child.h"
#include "transfer/wpa_control.h"

#define MARKS_MAX 16
#define PATH_SIZE 320

struct left {
    char path[PATH_SIZE];
    int fd; /* we hold its lock */
    struct sh_wifi_mark_text text;
};

struct sh_wifi_sweep {
    struct event_base *base;
    enum sh_cause (*read)(struct sh_wifi_radio *ret_radio);
    void (*done)(unsigned count, void *user);
    void *user;
    char run_dir[PATH_SIZE / 2];
    struct left left[MARKS_MAX];
    unsigned count, at, undone;
    struct sh_wpa_control *control;
    struct event *next, *limit;
    bool late;
};

/* ---- Finding ---- */

static bool is_mark(const char *name)
{
    size_t n = strlen(name);
    return strncmp(name, "wifi-", 5) == 0 && n > 5 && strcmp(name + n - 5, ".mark") == 0;
}

/* One of a dead process, of this boot, is taken; one of an earlier boot means nothing any more. */
static void take(struct sh_wifi_sweep *s, const char *name, const char *boot_id)
{
    struct left *left = &s->left[s->count];
    uint8_t bytes[SH_WIFI_MARK_SIZE];
    if (snprintf(left->path, sizeof(left->path), "%s/%s", s->run_dir, name) >=
        (int)sizeof(left->path))
        return;
    sh_autoclose int fd = open(left->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || flock(fd, LOCK_EX | LOCK_NB) < 0)
        return;
    ssize_t n = read(fd, bytes, sizeof(bytes));
    if (n < 0 || !sh_wifi_mark_read_text(SH_BYTES(bytes, (size_t)n), &left->text) ||
        strcmp(left->text.boot_id, boot_id) != 0) {
        (void)unlink(left->path);
        return;
    }
    left->fd = fd;
    fd = -1;
    s->count++;
}

static void find(struct sh_wifi_sweep *s)
{
    char boot_id[40];
    DIR *dir = opendir(s->run_dir);
    const struct dirent *entry;
    sh_wifi_boot_id(boot_id);
    /* cppcheck-suppress readdirCalled; a DIR of our own */
    while (dir && s->count < MARKS_MAX && (entry = readdir(dir)) != NULL) {
        if (is_mark(entry->d_name))
            take(s, entry->d_name, boot_id);
    }
    if (dir)
        closedir(dir);
}

/* ---- Undoing ---- */

/* Not undone: the mark stays for the next sweep. */
static void pass_over(struct sh_wifi_sweep *s)
{
    struct left *left = &s->left[s->at++];
    sh_wpa_control_free(s->control);
    s->control = NULL;
    sh_closep(&left->fd);
    left->fd = -1;
    event_active(s->next, EV_TIMEOUT, 1);
}

static void advance(struct sh_wifi_sweep *s)
{
    (void)unlink(s->left[s->at].path);
    s->undone++;
    pass_over(s);
}

static void remove_interface(const struct sh_wifi_sweep *s, const struct sh_wifi_mark_text *text,
                             const struct sh_wifi_iface *iface)
{
    if (memcmp(iface->address, text->address, sizeof(text->address)) != 0) {
        sh_log("wifi: %s is not ours any more", text->iface);
        return;
    }
    sh_log("wifi: sweep %s", text->iface);
    sh_wpa_child_clean(s->run_dir, text->iface);
    if (sh_wifi_nl_remove(iface->ifindex) != SH_OK)
        sh_log("wifi: sweep: %s", sh_detail());
}

static void remove_addresses(const struct sh_wifi_mark_text *text,
                             const struct sh_wifi_iface *iface)
{
    sh_log("wifi: sweep %zu addresses of %s", text->address_count, text->iface);
    sh_netif_remove_addresses(iface->ifindex, text->addresses, text->address_count);
}

static void on_last(struct sh_bytes reply SH_UNUSED, void *user)
{
    advance(user);
}

static void ask(struct sh_wifi_sweep *s, const char *format, ...) SH_PRINTF(2, 3);
static void ask(struct sh_wifi_sweep *s, const char *format, ...)
{
    char command[64];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(command, sizeof(command), format, args);
    va_end(args);
    sh_wpa_control_ask(s->control, command, NULL, NULL);
}

static void on_networks(struct sh_bytes reply, void *user)
{
    struct sh_wifi_sweep *s = user;
    const struct sh_wifi_mark_text *text = &s->left[s->at].text;
    struct sh_wpa_network list[SH_WPA_NETWORKS];
    size_t n = sh_wpa_networks(reply, SH_BYTES(text->ssid, text->ssid_len), list), ours = 0;
    for (size_t i = 0; i < n; i++) {
        if (!list[i].ours || ++ours > 4)
            continue;
        sh_log("wifi: sweep network %u", list[i].id);
        ask(s, "REMOVE_NETWORK %u", list[i].id);
    }
    for (size_t i = 0; i < text->enabled_count && i < 8; i++)
        ask(s, "ENABLE_NETWORK %u", text->enabled[i]);
    sh_wpa_control_ask(s->control, "PING", on_last, s);
}

static void on_event(struct sh_bytes datagram SH_UNUSED, void *user SH_UNUSED) {}

/* A wpa_supplicant that is gone took all of it along; one that does not answer still has it. */
static void on_lost(enum sh_cause cause, void *user)
{
    sh_log("wifi: sweep: %s (%s)", sh_cause_info(cause)->name, sh_detail());
    pass_over(user);
}

static const struct sh_wpa_control_ops control_ops = {.event = on_event, .lost = on_lost};

/* Whoever waits for it has no more time than this; what is left stays for the next sweep. */
static void on_limit(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi sweep limit");
    struct sh_wifi_sweep *s = user;
    sh_log("wifi: sweep: wpa_supplicant takes too long");
    s->late = true;
    sh_wpa_control_free(s->control);
    s->control = NULL;
    event_active(s->next, EV_TIMEOUT, 1);
}

static bool is_group(const struct sh_wifi_iface *iface, const struct sh_wifi_mark_text *text)
{
    if (text->kind == SH_WPA_CLIENT)
        return iface->type == SH_WIFI_P2P_CLIENT && iface->ifindex == text->ifindex;
    return iface->type == SH_WIFI_P2P_GO && iface->ssid_len == text->ssid_len &&
           memcmp(iface->ssid, text->ssid, text->ssid_len) == 0;
}

/* One that was asked for and not seen any more has no name in the mark: an owner is known by its network. */
static const struct sh_wifi_iface *find_group(const struct sh_wifi_radio *radio,
                                              const struct sh_wifi_mark_text *text)
{
    for (size_t i = 0; i < radio->iface_count; i++) {
        const struct sh_wifi_iface *iface = &radio->ifaces[i];
        if (iface->name[0] && (!text->iface[0] || strcmp(iface->name, text->iface) == 0) &&
            is_group(iface, text))
            return iface;
    }
    return NULL;
}

static void on_next(evutil_socket_t fd SH_UNUSED, short what SH_UNUSED, void *user)
{
    SH_SLOW("wifi sweep");
    struct sh_wifi_sweep *s = user;
    if (s->at == s->count || s->late) {
        s->done(s->undone, s->user);
        return;
    }
    const struct sh_wifi_mark_text *text = &s->left[s->at].text;
    struct sh_wifi_radio radio = {.iface_count = 0};
    if (s->read(&radio) != SH_OK)
        sh_log("wifi: sweep: %s", sh_detail());
    const struct sh_wifi_iface *iface = sh_wifi_iface_by_name(&radio, text->iface);
    const struct sh_wifi_iface *group = NULL;
    if (text->kind == SH_WPA_OWN || text->kind == SH_WPA_CLIENT)
        group = find_group(&radio, text);
    if (text->kind == SH_WPA_SECOND && iface)
        remove_interface(s, text, iface);
    else if (iface && text->address_count > 0)
        remove_addresses(text, iface);
    if (text->kind == SH_WPA_SECOND || !text->control[0] ||
        sh_wpa_control_open(s->base, text->control, false, &control_ops, s, &s->control) != SH_OK) {
        advance(s);
        return;
    }
    if (group) {
        sh_log("wifi: sweep group %s", group->name);
        ask(s, "P2P_GROUP_REMOVE %s", group->name);
    }
    sh_wpa_control_ask(s->control, "LIST_NETWORKS", on_networks, s);
}

enum sh_cause sh_wifi_sweep_new(struct event_base *base, const char *run_dir,
                                enum sh_cause (*read)(struct sh_wifi_radio *ret_radio),
                                void (*done)(unsigned count, void *user), void *user,
                                struct sh_wifi_sweep **ret_sweep)
{
    static const struct timeval limit = {.tv_sec = SH_WIFI_SWEEP_MS / 1000};
    struct sh_wifi_sweep *s = calloc(1, sizeof(*s));
    if (!s)
        return SH_ENV_NO_MEMORY;
    *s = (struct sh_wifi_sweep){.base = base, .read = read, .done = done, .user = user};
    s->next = event_new(base, -1, 0, on_next, s);
    s->limit = event_new(base, -1, 0, on_limit, s);
    if (!s->next || !s->limit || event_add(s->limit, &limit) < 0) {
        sh_wifi_sweep_free(s);
        return SH_ENV_NO_MEMORY;
    }
    if (sh_strcopy(s->run_dir, sizeof(s->run_dir), run_dir))
        find(s);
    event_active(s->next, EV_TIMEOUT, 1);
    *ret_sweep = s;
    return SH_OK;
}

void sh_wifi_sweep_free(struct sh_wifi_sweep *s)
{
    if (!s)
        return;
    if (s->next)
        event_free(s->next);
    if (s->limit)
        event_free(s->limit);
    sh_wpa_control_free(s->control);
    for (; s->at < s->count; s->at++)
        sh_closep(&s->left[s->at].fd);
    free(s);
}
