// Verifies webhooks, with Go's standard library alone.
//
// go run verify.go KEY WEBHOOK_ID WEBHOOK_TIMESTAMP WEBHOOK_SIGNATURE < body
package main

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// Verify checks a request. The key is the endpoint's secret (whsec_...), or its public key (whpk_...); the body is as
// it came.
func Verify(key string, headers http.Header, body []byte, tolerance time.Duration) error {
	timestamp := headers.Get("webhook-timestamp")
	seconds, err := strconv.ParseInt(timestamp, 10, 64)
	if err != nil || time.Since(time.Unix(seconds, 0)).Abs() > tolerance {
		return errors.New("the timestamp is missing, or too far from now")
	}
	prefix, encoded, _ := strings.Cut(key, "_")
	bytes, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return err
	}
	message := append([]byte(headers.Get("webhook-id")+"."+timestamp+"."), body...)
	for _, text := range strings.Split(headers.Get("webhook-signature"), " ") {
		version, encoded, _ := strings.Cut(text, ",")
		signature, err := base64.StdEncoding.DecodeString(encoded)
		if err == nil && fits(prefix, version, bytes, message, signature) {
			return nil
		}
	}
	return errors.New("no signature fits")
}

func fits(prefix, version string, key, message, signature []byte) bool {
	switch {
	case prefix == "whsec" && version == "v1":
		mac := hmac.New(sha256.New, key)
		mac.Write(message)
		return hmac.Equal(mac.Sum(nil), signature)
	case prefix == "whpk" && version == "v1a":
		return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature)
	}
	return false
}

func main() {
	headers := http.Header{}
	for index, name := range []string{"webhook-id", "webhook-timestamp", "webhook-signature"} {
		headers.Set(name, os.Args[index+2])
	}
	body, _ := io.ReadAll(os.Stdin)
	if err := Verify(os.Args[1], headers, body, 5*time.Minute); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
