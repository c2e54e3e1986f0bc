<?php
// A PHP page whose open pages are told at once what was posted to it. With ext-curl (Debian: php-curl):
//
//     export MEGACOMET_API_KEY=…          a key of scope push: megacomet key new shop --scope push
//     php -S 127.0.0.1:5000 push.php
//     curl -d 'text=hello' http://127.0.0.1:5000/news
declare(strict_types=1);

/** Publish to a channel; return whether the server took it. It never throws: what was saved stays saved. */
function push(string $channel, mixed $data): bool
{
    // With a key of its own a push can be repeated when its answer is lost, and is published once.
    $body = ['channel' => $channel, 'data' => $data, 'key' => bin2hex(random_bytes(16))];
    $curl = curl_init((getenv('MEGACOMET_URL') ?: 'http://127.0.0.1:8080') . '/api/push');
    curl_setopt_array($curl, [
        CURLOPT_POSTFIELDS => json_encode($body, JSON_INVALID_UTF8_SUBSTITUTE),
        CURLOPT_HTTPHEADER => [
            'Content-Type: application/json',
            'Authorization: Bearer ' . getenv('MEGACOMET_API_KEY'), // it stays here: pages listen without it
        ],
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_CONNECTTIMEOUT_MS => 1000,
        CURLOPT_TIMEOUT_MS => 4000,
    ]);
    $reason = '';
    for ($attempt = 0; $attempt < 2; $attempt++) {
        $answer = curl_exec($curl);
        $status = curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
        if ($answer === false) {
            $reason = curl_error($curl);
        } elseif ($status === 200) {
            return true;
        } else {
            $reason = $answer;
            if ($status < 500) {
                break; // the same again would be refused again
            }
        }
    }
    error_log("the push to $channel was not taken: $reason");
    return false;
}

$text = $_POST['text'] ?? null;
if (!is_string($text)) {
    http_response_code(400);
    exit("POST a text\n");
}
// Here the text would be saved. Then the pages that are open are told.
$item = ['text' => $text, 'live' => push('news', ['text' => $text])];
http_response_code(201);
header('Content-Type: application/json');
echo json_encode($item, JSON_INVALID_UTF8_SUBSTITUTE), "\n";
