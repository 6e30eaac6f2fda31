/* A watchdog device at the boundary of libc, for programs that run with LD_PRELOAD.

   Opening $WATCHDOG_DEVICE opens a connection to the emulator at $WATCHDOG_SOCKET
   instead; a request of ioctl(2) on it is a packet (number, buffer) with an answer
   (errno, buffer); what is written and the close arrive there as they are. */

#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define LARGEST 64
static int device = -1;

struct packet {
    uint32_t number;
    int32_t error;
    unsigned char buffer[LARGEST];
};

static int open_device(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct packet hello;
    int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
    strncpy(address.sun_path, getenv("WATCHDOG_SOCKET"), sizeof address.sun_path - 1);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0) {
        close(fd);
        errno = ENXIO;
        return -1;
    }
    if (recv(fd, &hello, sizeof hello, 0) != sizeof hello || hello.error) {
        close(fd);
        errno = hello.error ? hello.error : EIO;
        return -1;
    }
    return device = fd;
}

static int is_device(const char *path)
{
    const char *name = getenv("WATCHDOG_DEVICE");
    return name && path && strcmp(path, name) == 0;
}

#define OPEN(name)                                                                       \
    int name(const char *path, int flags, ...)                                           \
    {                                                                                    \
        static int (*real)(const char *, int, ...);                                      \
        va_list more;                                                                    \
        va_start(more, flags);                                                           \
        mode_t mode = va_arg(more, mode_t);                                              \
        va_end(more);                                                                    \
        if (is_device(path))                                                             \
            return open_device();                                                        \
        if (!real)                                                                       \
            real = (int (*)(const char *, int, ...))dlsym(RTLD_NEXT, #name);             \
        return real(path, flags, mode);                                                  \
    }
OPEN(open)
OPEN(open64)

int ioctl(int fd, unsigned long number, ...)
{
    static int (*real)(int, unsigned long, ...);
    va_list more;
    va_start(more, number);
    void *buffer = va_arg(more, void *);
    va_end(more);
    if (fd != device || fd < 0) {
        if (!real)
            real = (int (*)(int, unsigned long, ...))dlsym(RTLD_NEXT, "ioctl");
        return real(fd, number, buffer);
    }
    size_t size = (number >> 16) & 0x3fff;
    struct packet asked = {.number = (uint32_t)number};
    if (size > LARGEST) {
        errno = ENOTTY;
        return -1;
    }
    memcpy(asked.buffer, buffer, size);
    if (send(fd, &asked, sizeof asked, 0) < 0 || recv(fd, &asked, sizeof asked, 0) < 0)
        return -1;
    if (asked.error) {
        errno = asked.error;
        return -1;
    }
    memcpy(buffer, asked.buffer, size);
    return 0;
}
