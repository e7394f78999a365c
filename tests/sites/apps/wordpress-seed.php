<?php
// Installs WordPress and its content: wordpress-seed.php SITE POSTS MEMBERS
[, $site, $posts, $members] = $argv;
$_SERVER += ['HTTP_HOST' => 'blog.test', 'SERVER_NAME' => 'blog.test', 'REQUEST_URI' => '/wp-admin/install.php',
    'SERVER_PROTOCOL' => 'HTTP/1.1', 'REQUEST_METHOD' => 'GET', 'PHP_SELF' => '/wp-admin/install.php',
    'SERVER_PORT' => '80', 'REMOTE_ADDR' => '127.0.0.1'];
define('WP_INSTALLING', true);
define('WP_SITEURL', 'http://blog.test');
define('DISABLE_WP_CRON', true);
require "$site/wp-load.php";
require ABSPATH . 'wp-admin/includes/upgrade.php';
wp_install('A blog', 'admin', 'admin@blog.test', true, '', 'secret of admin');
update_option('home', 'http://blog.test');
update_option('siteurl', 'http://blog.test');
update_option('comment_moderation', 0);
update_option('comment_previously_approved', 0);
update_option('comments_notify', 0);
update_option('moderation_notify', 0);
update_option('show_avatars', 0);
update_option('show_comments_cookies_opt_in', 1);
update_option('page_comments', 0);
update_option('thread_comments', 0);
update_option('posts_per_page', $posts);
switch_theme('twentytwentyone');
global $wp_rewrite;
$wp_rewrite->set_permalink_structure('/%postname%/');
$travel = wp_create_category('Travel');
$kitchen = wp_create_category('Kitchen');
$text = str_repeat('<p>A garden path leads to the harbour, where boats wait for the morning tide. </p>', 12);
for ($number = 1; $number <= $posts; $number++) {
    wp_insert_post(['post_title' => "Post $number", 'post_name' => "post-$number", 'post_content' => $text,
        'post_status' => 'publish', 'post_author' => 1, 'comment_status' => 'open',
        'post_category' => [$number % 2 ? $travel : $kitchen],
        'post_date' => gmdate('Y-m-d H:i:s', time() - 86400 * ($posts + 1 - $number))]);
}
wp_insert_post(['post_title' => 'About', 'post_name' => 'about', 'post_type' => 'page', 'post_content' => $text,
    'post_status' => 'publish', 'post_author' => 1]);
// The hash of a long password takes long, and its strength does not matter here.
for ($number = 0; $number < $members; $number++) {
    wp_insert_user(['user_login' => "member-$number", 'user_pass' => "secret of member-$number",
        'user_email' => "member-$number@mail.test", 'display_name' => "member-$number", 'role' => 'subscriber']);
}
flush_rewrite_rules();
echo "seeded\n";
