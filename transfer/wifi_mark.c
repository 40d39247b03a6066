/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "transfer/wifi_mark.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/wifi_internal.h"

#define PATH_SIZE 320

struct sh_wifi_mark {
    char path[PATH_SIZE];
    int fd;
};

/* ---- The text ---- */

static const char *const kinds[] = {"own", "second-station", "p2p-client", "station"};

static void add(char *out, size_t *at, const char *format, ...) SH_PRINTF(3, 4);
static void add(char *out, size_t *at, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    int n = vsnprintf(out + *at, SH_WIFI_MARK_SIZE - *at, format, args);
    va_end(args);
    if (n > 0 && (size_t)n < SH_WIFI_MARK_SIZE - *at)
        *at += (size_t)n;
}

size_t sh_wifi_mark_write_text(const struct sh_wifi_mark_text *text, char out[SH_WIFI_MARK_SIZE])
{
    char hex[2 * sizeof(text->ssid) + 1];
    size_t at = 0;
    sh_hex(text->ssid, text->ssid_len, hex);
    add(out, &at, "kind=%s\nboot=%s\nssid=%s\n", kinds[text->kind], text->boot_id, hex);
    if (text->iface[0])
        add(out, &at, "iface=%s\n", text->iface);
    if (text->iface[0] && text->ifindex != 0)
        add(out, &at, "ifindex=%u\n", text->ifindex);
    if (text->kind == SH_WPA_SECOND)
        add(out, &at, "address=%02x:%02x:%02x:%02x:%02x:%02x\n", text->address[0], text->address[1],
            text->address[2], text->address[3], text->address[4], text->address[5]);
    if (text->control[0])
        add(out, &at, "control=%s\n", text->control);
    for (size_t i = 0; i < text->enabled_count; i++)
        add(out, &at, "enabled%zu=%u\n", i, text->enabled[i]);
    for (size_t i = 0; i < text->address_count; i++) {
        sh_hex(text->addresses[i].bytes, text->addresses[i].len, hex);
        add(out, &at, "local%zu=%s\n", i, hex);
    }
    return at;
}

static bool read_kind(const char *name, enum sh_wpa_task_kind *ret_kind)
{
    for (size_t i = 0; i < SH_COUNT(kinds); i++) {
        if (strcmp(kinds[i], name) == 0) {
            *ret_kind = (enum sh_wpa_task_kind)i;
            return true;
        }
    }
    return false;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool read_hex(const char *hex, uint8_t *out, size_t max, size_t *ret_n)
{
    size_t n = strlen(hex) / 2;
    if (strlen(hex) % 2 != 0 || n > max)
        return false;
    for (size_t i = 0; i < n; i++) {
        int high = digit(hex[2 * i]), low = digit(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return false;
        out[i] = (uint8_t)(high * 16 + low);
    }
    *ret_n = n;
    return true;
}

static void read_addresses(struct sh_bytes bytes, struct sh_wifi_mark_text *text)
{
    char value[2 * 16 + 1], key[8];
    for (size_t i = 0; i < SH_COUNT(text->addresses); i++) {
        struct sh_tcp_address *address = &text->addresses[text->address_count];
        (void)snprintf(key, sizeof(key), "local%zu", i);
        if (sh_wpa_value(bytes, key, value, sizeof(value)) &&
            read_hex(value, address->bytes, sizeof(address->bytes), &address->len) &&
            (address->len == 4 || address->len == 16))
            text->address_count++;
    }
}

bool sh_wifi_mark_read_text(struct sh_bytes bytes, struct sh_wifi_mark_text *ret_text)
{
    struct sh_wifi_mark_text text = {.iface = ""};
    char value[80], key[16];
    if (bytes.n > SH_WIFI_MARK_SIZE || !sh_wpa_value(bytes, "kind", value, sizeof(value)) ||
        !read_kind(value, &text.kind) ||
        !sh_wpa_value(bytes, "boot", text.boot_id, sizeof(text.boot_id)) ||
        !sh_wpa_value(bytes, "ssid", value, sizeof(value)) ||
        !read_hex(value, text.ssid, sizeof(text.ssid), &text.ssid_len) || text.ssid_len == 0)
        return false;
    if (!sh_wpa_value(bytes, "iface", text.iface, sizeof(text.iface)) || strchr(text.iface, '/'))
        text.iface[0] = '\0';
    if (!text.iface[0] || !sh_wpa_value(bytes, "ifindex", value, sizeof(value)) ||
        !sh_wpa_number(SH_BYTES(value, strlen(value)), &text.ifindex))
        text.ifindex = 0;
    if (text.kind == SH_WPA_SECOND && (!sh_wpa_value(bytes, "address", value, sizeof(value)) ||
                                       !sh_wpa_address(value, text.address)))
        return false;
    if (!sh_wpa_value(bytes, "control", text.control, sizeof(text.control)))
        text.control[0] = '\0';
    for (size_t i = 0; i < SH_WPA_NETWORKS; i++) {
        unsigned id = 0;
        (void)snprintf(key, sizeof(key), "enabled%zu", i);
        if (!sh_wpa_value(bytes, key, value, sizeof(value)) ||
            !sh_wpa_number(SH_BYTES(value, strlen(value)), &id))
            break;
        text.enabled[text.enabled_count++] = id;
    }
    read_addresses(bytes, &text);
    *ret_text = text;
    return true;
}

/* ---- The file ---- */

void sh_wifi_boot_id(char out[40])
{
    sh_autoclose int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t n = fd >= 0 ? read(fd, out, 39) : 0;
    out[n > 0 ? n : 0] = '\0';
    out[strcspn(out, "\n")] = '\0';
    if (!out[0])
        memcpy(out, "unknown", 8);
}

/* The lock comes before the name that a sweep looks for. */
static enum sh_cause make(struct sh_wifi_mark *mark, const char *run_dir)
{
    char fresh[PATH_SIZE];
    if (mkdir(run_dir, 0700) < 0 && errno != EEXIST)
        return sh_cause_of_errno(errno, run_dir);
    int n = snprintf(fresh, sizeof(fresh), "%s/.wifi-XXXXXX", run_dir);
    if (n < 0 || (size_t)n + strlen(".mark") >= sizeof(fresh))
        return sh_fail(SH_ENV_PERMISSION, "%s: the path is too long", run_dir);
    mark->fd = mkostemp(fresh, O_CLOEXEC); /* 0600 */
    if (mark->fd < 0)
        return sh_cause_of_errno(errno, fresh);
    (void)snprintf(mark->path, sizeof(mark->path), "%s/%s.mark", run_dir, strrchr(fresh, '/') + 2);
    if (flock(mark->fd, LOCK_EX | LOCK_NB) == 0 && rename(fresh, mark->path) == 0)
        return SH_OK;
    int error = errno;
    (void)unlink(fresh);
    return sh_cause_of_errno(error, mark->path);
}

enum sh_cause sh_wifi_mark_new(const char *run_dir, struct sh_wifi_mark **ret_mark)
{
    struct sh_wifi_mark *mark = calloc(1, sizeof(*mark));
    if (!mark)
        return SH_ENV_NO_MEMORY;
    mark->fd = -1;
    enum sh_cause cause = make(mark, run_dir);
    if (cause != SH_OK) {
        sh_closep(&mark->fd);
        free(mark);
        return cause;
    }
    *ret_mark = mark;
    return SH_OK;
}

enum sh_cause sh_wifi_mark_set(struct sh_wifi_mark *mark, struct sh_wifi_mark_text *text)
{
    char bytes[SH_WIFI_MARK_SIZE];
    if (!text->boot_id[0])
        sh_wifi_boot_id(text->boot_id);
    size_t n = sh_wifi_mark_write_text(text, bytes);
    /* One write after another of the same length or longer: whoever reads in between sees one of both. */
    if (pwrite(mark->fd, bytes, n, 0) != (ssize_t)n || ftruncate(mark->fd, (off_t)n) < 0)
        return sh_cause_of_errno(errno, mark->path);
    return SH_OK;
}

void sh_wifi_mark_leave(struct sh_wifi_mark *mark)
{
    if (!mark)
        return;
    sh_closep(&mark->fd);
    free(mark);
}

void sh_wifi_mark_free(struct sh_wifi_mark *mark)
{
    if (mark)
        (void)unlink(mark->path);
    sh_wifi_mark_leave(mark);
}
